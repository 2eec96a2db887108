"""How to point public clients at a simulator: the lines to paste.

Sources: the code of project-x-py 4.4.1, topstep-sdk 0.1.4, signalrcore 1.0.2 and @microsoft/signalr
10.0, read 2026-11.

I/O: none
"""

from __future__ import annotations

_LINES = """\
project-x-py (its from_env wants a key of 10 characters or more: --api-key)
  from project_x_py import ProjectX, ProjectXConfig
  config = ProjectXConfig(api_url="{url}/api",
      user_hub_url="{url}/hubs/user", market_hub_url="{url}/hubs/market")
  client = ProjectX(username="{username}", api_key="{api_key}", config=config)
  or config=load_default_config() from project_x_py.config, which reads PROJECTX_API_URL,
      PROJECTX_USER_HUB_URL and PROJECTX_MARKET_HUB_URL

topstep-sdk
  from topstep_sdk import AsyncTopstepClient, Config
  client = AsyncTopstepClient(Config(username="{username}", api_key="{api_key}",
      rest_base_url="{url}",
      user_hub_url="{url}/hubs/user", market_hub_url="{url}/hubs/market"))

signalrcore (TOKEN: from POST {url}/api/Auth/loginKey)
  HubConnectionBuilder().with_url("{socket}/hubs/market?access_token=" + TOKEN,
      options={{"skip_negotiation": True}}).with_hub_protocol(JsonHubProtocol(1)).build()

@microsoft/signalr
  new signalR.HubConnectionBuilder().withUrl("{url}/hubs/market", {{
      accessTokenFactory: () => TOKEN, skipNegotiation: true,
      transport: signalR.HttpTransportType.WebSockets }}).build()
"""


def pointers(url: str, username: str, api_key: str) -> list[str]:
    """Lines for each client."""
    socket = "ws" + url.removeprefix("http")
    made = _LINES.format(url=url, socket=socket, username=username, api_key=api_key)
    return made.splitlines()
