"""An application that a test rewrites while it is served."""

from pathlib import Path


class Project:
    def __init__(self, directory: Path):
        self.directory = directory
        self.module = directory / "site_app.py"
        self.config = directory / "gunicorn.conf.py"
        self.config.write_text("")
        self.answer("one")

    def write(self, source: str) -> None:
        # In one step: a worker must never import half a file.
        draft = self.directory / "draft"
        draft.write_text(source)
        draft.rename(self.module)

    def answer(self, text: str, before: str = "") -> None:
        """`before`: lines that run when the module is imported."""
        self.write(
            f"{before}\n"
            "def app(environ, start_response):\n"
            "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
            f"    return [{text!r}.encode()]\n"
        )
