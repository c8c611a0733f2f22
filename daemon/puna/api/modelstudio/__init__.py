"""The ModelStudio API: generation jobs of an organisation. IONOS AI Model Studio is the same under its name."""
