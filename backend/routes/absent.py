"""What the app asks for and this backend has none of: demos and deployments. It lists them as empty."""

from backend.routing import Router

router = Router(prefix="/api")


@router.get("/gradio-demos/")
async def demos() -> tuple[()]:
    """List demos: this backend runs none."""
    return ()


@router.get("/deployments")
async def deployments() -> tuple[()]:
    """List deployments: this backend has none."""
    return ()
