"""Which addresses are for programs: they read JSON whatever goes wrong, and need nothing of what pages need."""

PATHS = frozenset({"/api", "/dev-login", "/healthz", "/readyz", "/metrics", "/docs/openapi.yaml"})


def is_for_programs(path: str) -> bool:
    """Whether who asks for this path, without its query, is a program."""
    return path.startswith("/api/") or path in PATHS
