"""Trying a channel: one message that says that it is a test, and what became of it."""

from dataclasses import dataclass
from typing import Any

from alert_rules.rule import Severity
from cloud_ingest.notification.channels import Channel, NotifierError, Trouble

_MESSAGE = {
    "vi": ("Quantrac: tin thử", "Đây là tin thử. Kênh này nhận được cảnh báo của Quantrac."),
    "en": ("Quantrac: test message", "This is a test. This channel receives Quantrac's alerts."),
}
_SAID = {
    Trouble.NO_HOST: {
        "vi": "Không tìm thấy máy chủ: kiểm tra tên máy chủ trong địa chỉ và kết nối mạng.",
        "en": "The server was not found: check its name in the address, and the network.",
    },
    Trouble.NOBODY_LISTENS: {
        "vi": "Không kết nối được tới máy chủ: kiểm tra địa chỉ, cổng và tường lửa.",
        "en": "The server does not take the connection: check address, port and firewall.",
    },
    Trouble.NO_ANSWER: {
        "vi": "Máy chủ không trả lời kịp: kiểm tra cổng và tường lửa, rồi thử lại.",
        "en": "The server did not answer in time: check port and firewall, then try again.",
    },
    Trouble.NOT_SECURE: {
        "vi": "Không thiết lập được kết nối bảo mật: kiểm tra cổng và chứng chỉ TLS.",
        "en": "No secure connection could be made: check the port and the TLS certificate.",
    },
    Trouble.NOT_ALLOWED: {
        "vi": "Dịch vụ từ chối tài khoản: kiểm tra tên người dùng, mật khẩu hoặc mã khóa.",
        "en": "The service refuses the account: check user name, password or token.",
    },
    Trouble.NO_SUCH_ADDRESS: {
        "vi": "Dịch vụ không biết địa chỉ nhận này: kiểm tra đường dẫn hoặc người nhận.",
        "en": "The service does not know this recipient: check the path or the recipient.",
    },
    Trouble.TOO_MANY: {
        "vi": "Dịch vụ báo đã nhận quá nhiều tin: chờ vài phút hoặc giảm per_minute.",
        "en": "The service says that it got too many messages: wait, or lower per_minute.",
    },
    Trouble.SERVICE_BROKEN: {
        "vi": "Dịch vụ nhận tin đang gặp sự cố: thử lại sau.",
        "en": "The receiving service has trouble of its own: try again later.",
    },
    Trouble.REFUSED: {
        "vi": "Dịch vụ không nhận tin này: xem chi tiết và kiểm tra địa chỉ trong cloud.yaml.",
        "en": "The service did not take the message: see the detail, check cloud.yaml.",
    },
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a test message: ``error`` says in both languages what to check."""

    channel: str
    ok: bool
    error: dict[str, str] | None = None
    detail: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"channel": self.channel, "ok": self.ok, "error": self.error, "detail": self.detail}


def try_channel(channel: Channel, language: str | None = None) -> Trial:
    """Send a test message now, past the queue; in the channel's own language unless told otherwise."""
    title, body = _MESSAGE[language or channel.configuration.language]
    try:
        channel.notifier.send(title, body, Severity.INFO)
    except NotifierError as error:
        return Trial(channel.name, False, _SAID[error.trouble], str(error))
    return Trial(channel.name, True)
