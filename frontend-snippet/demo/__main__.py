"""Run the demo: `python -m demo` beside this package, with DEMO_SECRET, DEMO_DATA and DEMO_SERVICE_URL set."""

import uvicorn

from .app import create_app
from .settings import Settings

if __name__ == "__main__":
    settings = Settings()
    uvicorn.run(create_app(settings), host=settings.bind, port=settings.port, access_log=False, timeout_keep_alive=75)
