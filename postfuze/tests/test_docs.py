import re
from typing import Any


def test_the_page_loads_everything_from_this_site(client: Any) -> None:
    page = client.get("/docs")
    addresses = re.findall(r'(?:src|href|url)[=:]\s*"([^"]+)"', page.content.decode())
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("/")
        assert client.get(address).status_code == 200
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert "http" not in page["Content-Security-Policy"]


def test_the_root_leads_to_the_docs(client: Any) -> None:
    assert client.get("/")["Location"] == "/docs"
