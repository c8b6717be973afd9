from .build import build_demo as build_demo
