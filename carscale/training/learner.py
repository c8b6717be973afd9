"""The model with its loss, its optimizer and the EMA of its weights."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from carscale.augment import partners
from carscale.errors import ConfigError
from carscale.loaders.mixing import paste_rectangles, within
from carscale.training.schedule import ema_decay_at, lr_factor

if TYPE_CHECKING:
    from accelerate.optimizer import AcceleratedOptimizer
    from numpy.typing import NDArray

    from carscale import config
    from carscale.balance import Loss
    from carscale.models import Classifier
    from carscale.types import Batch
    from carscale.world import World


TEMPERATURE = 2.0
"""Of the distillation."""


def parameter_groups(
    model: Classifier, *, weight_decay: float, head_lr_factor: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Return groups by head or body, layer, and whether they are decayed.

    Norms, biases, factors of added attention (all tensors of one axis or none) and what timm names
    (position embeddings) are not decayed. ``lr_factor`` of a group is what its learning rate is
    multiplied with: ``head_lr_factor`` for the classifier, times ``layer_decay`` for each layer
    between a group's and the last. Added attention layers count as body, and as the last layer.

    Args:
        model: From ``models.build``.
        weight_decay: Of the groups that are decayed.
        head_lr_factor: Of the classifier.
        layer_decay: In (0, 1]; 1 gives at most four groups.

    Reference:
        Bao et al. 2021, https://arxiv.org/abs/2106.08254, appendix; the layers are those of timm's
        ``param_groups_layer_decay``.
    """
    head, undecayed = model.head_parameters(), model.undecayed_names()
    numbers = model.layer_numbers() if layer_decay < 1 else {}
    last = max(numbers.values(), default=0)
    groups: dict[tuple[bool, int, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and name not in undecayed
            key = (id(parameter) in head, numbers.get(name, last), decays)
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay if decays else 0.0,
            "lr_factor": (head_lr_factor if is_head else 1.0) * layer_decay ** (last - layer),
        }
        for (is_head, layer, decays), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def share_within(maps_BHW: Tensor, boxes_B4: NDArray[np.int64]) -> Tensor:
    """Return the share of each map that lies within a rectangle, float32 ``[B]``.

    Args:
        maps_BHW: Not negative; of a map that is zero everywhere, its area counts.
        boxes_B4: Left, top, width, height.

    Example:
        >>> share_within(torch.eye(2)[None], np.array([[0, 0, 1, 2]])).tolist()
        [0.5]
    """
    is_in_BHW = within(boxes_B4, maps_BHW)
    total_B = maps_BHW.sum(dim=(1, 2))
    inside_B = (maps_BHW * is_in_BHW).sum(dim=(1, 2)) / total_B.clamp_min(1e-12)
    return torch.where(total_B > 1e-12, inside_B, is_in_BHW.float().mean(dim=(1, 2)))


class Learner:
    """A model, its loss, its optimizer and, if wanted, an EMA of its weights.

    Args:
        model: A classifier from ``models.build``.
        loss: From ``balance.loss``.
        cfg: Optimizer settings.
        distill: Weight of the divergence from the model as it is now, before it is trained.

    Raises:
        ConfigError: There is nothing to distil: the classifier is new.
    """

    def __init__(
        self, model: Classifier, loss: Loss, cfg: config.Optim, *, distill: float = 0.0
    ) -> None:
        if distill and "new: classifier" in model.weights_from:
            raise ConfigError(
                f"finetune.distill={distill:g}: {model.weights_from}: of a new classifier there is "
                "nothing to keep",
                "set finetune.distill=0, or start from a run of the same classes",
            )
        self.model = model
        self.distill = distill
        self.teacher = copy.deepcopy(model).eval().requires_grad_(False) if distill else None
        self.loss = loss
        self.cfg = cfg
        self.ema: Classifier | None = None
        self.forward: nn.Module = model
        self.optimizer: AcceleratedOptimizer
        new = [module for part in model.new_modules() for module in part.modules()]
        new_parameters = {id(parameter) for module in new for parameter in module.parameters()}
        self._body = [p for p in model.parameters() if id(p) not in new_parameters]
        self._body_norms = [
            module
            for module in model.modules()
            if getattr(module, "running_mean", None) is not None and module not in new
        ]

    def prepare(self, world: World, *, ema_decay: float) -> None:
        """Move to the device, wrap for many processes, build the optimizer.

        Stored weights are loaded before this.
        """
        self.model.to(world.device)
        self.loss.to(world.device)
        if self.teacher is not None:
            self.teacher.to(world.device)
        self.ema_decay = ema_decay
        if ema_decay and self.ema is None:
            self.ema = copy.deepcopy(self.model)
        if self.ema is not None:
            self.ema.to(world.device).requires_grad_(False).eval()
        groups = parameter_groups(
            self.model,
            weight_decay=self.cfg.weight_decay,
            head_lr_factor=self.cfg.head_lr_factor,
            layer_decay=self.cfg.layer_decay,
        )
        if self.cfg.name == "adamw":
            optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=self.cfg.lr, fused=True)
        else:
            nesterov = self.cfg.momentum > 0
            optimizer = torch.optim.SGD(
                groups, lr=self.cfg.lr, momentum=self.cfg.momentum, nesterov=nesterov
            )
        with warnings.catch_warnings():  # torch 2.14 renames what Accelerate passes
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            self.forward, self.optimizer = world.accelerator.prepare(self.model, optimizer)

    def distilled_sum(self, images_BCHW: Tensor, logits_BK: Tensor) -> Tensor:
        """Return the weighted divergence from the first model, summed over pictures; 0 without one.

        Of softened probabilities, times the squared temperature.

        Args:
            images_BCHW: uint8; what the first model says of them is computed here.
            logits_BK: What the model says now.

        Reference:
            Hinton et al. 2015, https://arxiv.org/abs/1503.02531; Li and Hoiem 2016,
            https://arxiv.org/abs/1606.09282 (against forgetting).
        """
        if self.teacher is None:
            return logits_BK.new_zeros(())
        with torch.no_grad():
            before_BK = self.teacher(images_BCHW).float()
        now_BK = F.log_softmax(logits_BK.float() / TEMPERATURE, dim=-1)
        wanted_BK = F.log_softmax(before_BK / TEMPERATURE, dim=-1)
        divergence = F.kl_div(now_BK, wanted_BK, reduction="sum", log_target=True)
        return self.distill * TEMPERATURE**2 * divergence

    def mixed(self, batch: Batch, world: World) -> Batch:
        """Return a batch mixed where that was left to the model: what it sees says what counts.

        A label counts as the share of its class activation map that the picture keeps of its own
        photo, or gets of its partner's; where a map is flat, as its area. The maps are of the model
        as it is, in eval mode, without what DDP wraps around it, with the batch-norm statistics of
        rank 0: those are what a checkpoint keeps.

        Reference:
            Huang et al. 2021, https://arxiv.org/abs/2012.04846, eq. 2 to 5.
        """
        if batch.swap_B4 is None or batch.source_B4 is None:
            return batch
        world.broadcast_buffers(self.model)
        training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        with torch.no_grad():
            maps_BHW = self.model.class_maps(batch.images_BCHW, batch.labels_B)
        for module in training:
            module.training = True
        other_B = torch.from_numpy(partners(len(batch.labels_B))).to(batch.labels_B.device)
        return replace(
            batch,
            images_BCHW=paste_rectangles(
                batch.images_BCHW, batch.images_BCHW[other_B], batch.swap_B4, batch.source_B4
            ),
            own_share_B=1 - share_within(maps_BHW, batch.swap_B4),
            partner_share_B=share_within(maps_BHW[other_B], batch.source_B4),
        )

    def warm_up_ddp(self, world: World, image_px: int) -> None:
        """Have DDP order its gradient buckets now, by a backward pass without effect.

        DDP reorders its buckets once, after the first backward pass. With three ranks or more, the
        order decides the last bits of a sum, so that the first step after a resume would differ
        from the same step of a run that was not stopped.
        """
        if world.size < 3:
            return
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        images_BCHW = torch.zeros(
            (2, 3, image_px, image_px), dtype=torch.uint8, device=world.device
        )
        self.forward.train()
        with world.accelerator.autocast():
            logits_BK = self.forward(images_BCHW.to(memory_format=torch.channels_last))
        world.accelerator.backward(logits_BK.float().sum())
        self.optimizer.zero_grad()
        with torch.no_grad():
            for name, buffer in self.model.named_buffers():
                buffer.copy_(buffers[name])

    def train_mode(self, *, is_frozen: bool) -> None:
        """Set training mode; a frozen body keeps its batch-norm statistics."""
        self.forward.train()
        if is_frozen:
            for module in self._body_norms:
                module.eval()

    def drop_body_gradients(self) -> None:
        """Drop the body's gradients, so that the step moves the new layers alone.

        The body's weights neither move nor decay, and the optimizer's moments of them start when it
        thaws. The backward pass went through all layers, so freezing saves no time.
        """
        for parameter in self._body:
            parameter.grad = None

    def set_lr(self, step: int, *, num_steps: int, warmup_steps: float) -> float:
        """Set every group's learning rate for a step; return the body's."""
        lr = self.cfg.lr * lr_factor(step, num_steps=num_steps, warmup_steps=warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_factor"]
        return lr

    @torch.no_grad()
    def update_ema(self, step: int) -> None:
        """Move the EMA towards the weights and the batch-norm statistics."""
        if self.ema is None:
            return
        decay = ema_decay_at(step, self.ema_decay)
        mine, new = self.ema.net.state_dict(), self.model.net.state_dict()
        floats = [name for name, tensor in mine.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in floats], [new[n] for n in floats], 1 - decay)
        for name in mine.keys() - set(floats):  # counters
            mine[name].copy_(new[name])

    @property
    def eval_model(self) -> Classifier:
        """Return the model that is scored and saved: the EMA where one is kept."""
        return self.model if self.ema is None else self.ema

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Return the optimizer's state as named tensors."""
        return {
            f"{index}.{key}": torch.as_tensor(value)
            for index, entries in self.optimizer.state_dict()["state"].items()
            for key, value in entries.items()
            if value is not None
        }

    def load_optimizer_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Put back what ``optimizer_tensors`` returned.

        Moments lie in memory as their parameter does (``channels_last``): the fused step goes
        through both by address.
        """
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, key = name.split(".", 1)
            own = parameters[int(index)]
            if tensor.shape == own.shape:
                tensor = torch.empty_like(own, dtype=tensor.dtype).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
