"""/healthz, /readyz and /metrics, served by the loop that starts the passes: an answer says that it turns."""

from collections.abc import Callable

from aiohttp import web

from kubeception.operator.metrics import Metrics


async def serve(
    address: str, port: int, metrics: Metrics, unready: Callable[[], str]
) -> web.AppRunner:
    """A server; its `cleanup()` ends it. `unready` says what is missing, nothing when all is there."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        missing = unready()
        return web.Response(text=missing or "ok", status=503 if missing else 200)

    async def all_metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", all_metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, address or None, port).start()
    return runner
