"""Applications made by a call on the command line: 'factory:create_app("x")'."""


def create_app(name="nobody", greeting="hello"):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{greeting} {name}".encode()]

    return application


def create_nothing():
    return None


def create_failing():
    raise RuntimeError("the factory failed")
