"""A middleware that fails when it is told to."""


class Broken:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if "break" in request.GET:
            raise OSError("middleware broke")
        return self.get_response(request)
