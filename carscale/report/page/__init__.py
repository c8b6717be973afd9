"""What all pages share: templates, theme, pictures, number formats, CSV, script data."""
