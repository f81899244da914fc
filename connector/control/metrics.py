"""stub"""

from connector.control.observer import Observer


class Metrics(Observer):
    def render(self):
        return b"", "text/plain"

    def loop_lag(self, s):
        pass

    def webhook(self, e, o):
        pass

    def webhook_handled(self, s):
        pass

    def webhook_age(self, s):
        pass

    def api(self, r, s):
        pass
