"""Payloads in the shape in which the gateway sends them, as text: nothing here is computed.

Shapes and members: the ProjectX documentation, its OpenAPI document (2026-09) and the wire captures
of public clients. The values are invented.
"""

from __future__ import annotations

ACCOUNT = (
    '{"id":7001122,"name":"PRAC-V2-EXAMPLE","balance":150000.000000000,"canTrade":true,'
    '"isVisible":true,"simulated":true}'
)
CONTRACT = (
    '{"id":"CON.F.US.MNQ.Z26","name":"MNQZ6","description":"Micro E-mini Nasdaq-100: December '
    '2026","tickSize":0.25,"tickValue":0.5,"activeContract":true,"symbolId":"F.US.MNQ"}'
)
YEN = (
    '{"id":"CON.F.US.JY6.Z26","name":"6JZ6","description":"Japanese Yen","tickSize":0.0000005,'
    '"tickValue":6.25,"activeContract":true,"symbolId":"F.US.JY6"}'
)
BARS = (
    '[{"t":"2026-10-01T14:31:00+00:00","o":25101.25,"h":25104,"l":25099.5,"c":25103,"v":812,'
    '"d":null,"k":null},{"t":"2026-10-01T14:30:00+00:00","o":25098,"h":25102.75,"l":25097.25,'
    '"c":25101.25,"v":1190}]'
)
ORDER = (
    '{"id":3900000101,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26","symbolId":"F.US.MNQ",'
    '"creationTimestamp":"2026-10-01T14:30:00.123456+00:00",'
    '"updateTimestamp":"2026-10-01T14:30:00.131234+00:00","status":2,"type":2,"side":0,"size":2,'
    '"limitPrice":null,"stopPrice":null,"fillVolume":2,"filledPrice":25100.500000000,'
    '"customTag":"bot1-000017"}'
)
STOP_LEG = (
    '{"id":3900000102,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26","symbolId":"F.US.MNQ",'
    '"creationTimestamp":"2026-10-01T14:30:00.123456+00:00","updateTimestamp":null,"status":8,'
    '"type":4,"side":1,"size":2,"fillVolume":0,"filledPrice":null,"customTag":"bot1-000017-SL",'
    '"trailDistance":-60,"parentOrderId":3900000101}'
)
TARGET_LEG = (
    '{"id":3900000103,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26","symbolId":"F.US.MNQ",'
    '"creationTimestamp":"2026-10-01T14:30:00.123456+00:00","status":1,"type":1,"side":1,"size":2,'
    '"limitPrice":25130.5,"fillVolume":0,"customTag":"bot1-000017-TP","trailDistance":120,'
    '"parentOrderId":3900000101,"linkedOrderId":3900000102}'
)
TRAILING = (
    '{"id":3900000104,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26",'
    '"creationTimestamp":"2026-10-01T14:30:00+00:00","status":1,"type":5,"side":1,"size":1,'
    '"stopPrice":25095.5,"trailDistance":20,"trailPrice":5.0}'
)
POSITION = (
    '{"id":830000017,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26",'
    '"contractDisplayName":"MNQZ26","creationTimestamp":"2026-10-01T14:30:00.131234+00:00",'
    '"type":2,"size":2,"averagePrice":25100.583333333}'
)
CLOSED = (
    '{"id":830000017,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26",'
    '"creationTimestamp":"2026-10-01T14:30:00.131234+00:00","type":0,"size":0,'
    '"averagePrice":25100.5}'
)
OPENING = (
    '{"id":3300000901,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26",'
    '"creationTimestamp":"2026-10-01T14:30:00.1312345+00:00","price":25100.500000000,'
    '"profitAndLoss":null,"fees":0.72,"commissions":0.50,"side":0,"size":2,"voided":false,'
    '"orderId":3900000101}'
)
CLOSING = (
    '{"id":3300000902,"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26",'
    '"creationTimestamp":"2026-10-01T14:31:05.9+00:00","price":25130.5,"profitAndLoss":120.00,'
    '"fees":0.72,"side":1,"size":2,"voided":false,"orderId":3900000103}'
)

TAIL = '"success":true,"errorCode":0,"errorMessage":null}'
ANSWERS = {
    "Auth/loginKey": f'{{"token":"eyJh.eyJl.c2ln",{TAIL}',
    "Auth/loginApp": f'{{"token":"eyJh.eyJl.c2ln",{TAIL}',
    "Auth/validate": f'{{"newToken":"eyJh.eyJl.bmV3",{TAIL}',
    "Auth/logout": f"{{{TAIL}",
    "Account/search": f'{{"accounts":[{ACCOUNT}],{TAIL}',
    "Contract/search": f'{{"contracts":[{CONTRACT},{YEN}],{TAIL}',
    "Contract/searchById": f'{{"contract":{CONTRACT},{TAIL}',
    "Contract/available": f'{{"contracts":[{CONTRACT},{YEN}],{TAIL}',
    "History/retrieveBars": f'{{"bars":{BARS},{TAIL}',
    "Order/place": f'{{"orderId":3900000101,{TAIL}',
    "Order/modify": f"{{{TAIL}",
    "Order/cancel": f"{{{TAIL}",
    "Order/search": f'{{"orders":[{ORDER},{TARGET_LEG}],{TAIL}',
    "Order/searchOpen": f'{{"orders":[{TARGET_LEG}],{TAIL}',
    "Order/searchById": f'{{"order":{ORDER},{TAIL}',
    "Order/v2/query": f'{{"orders":[{STOP_LEG},{TARGET_LEG},{TRAILING}],"totalCount":3,{TAIL}',
    "Position/searchOpen": f'{{"positions":[{POSITION}],{TAIL}',
    "Position/closeContract": f"{{{TAIL}",
    "Position/partialCloseContract": f"{{{TAIL}",
    "Trade/search": f'{{"trades":[{CLOSING},{OPENING}],{TAIL}',
}
"""Answers with success, by operation; the twenty-first operation is the ping, which has no JSON."""

_OF = '"accountId":7001122'
_SPAN = '"startTimestamp":"2026-10-01T14:30:00+00:00"'
REQUESTS = {
    "Auth/loginKey": '{"userName":"trader_one","apiKey":"k3y-example"}',
    "Auth/loginApp": '{"userName":"u","password":"p","deviceId":"d","appId":"a","verifyKey":"v"}',
    "Auth/validate": "{}",
    "Auth/logout": "{}",
    "Account/search": '{"onlyActiveAccounts":true}',
    "Contract/search": '{"live":false,"searchText":"NQ"}',
    "Contract/searchById": '{"contractId":"CON.F.US.MNQ.Z26"}',
    "Contract/available": '{"live":false}',
    "History/retrieveBars": '{"contractId":"CON.F.US.MNQ.Z26","live":false,'
    '"startTime":"2026-10-01T14:30:00+00:00","endTime":"2026-10-01T14:32:00+00:00","unit":2,'
    '"unitNumber":1,"limit":20000,"includePartialBar":false}',
    "Order/place": f'{{{_OF},"contractId":"CON.F.US.MNQ.Z26","type":2,"side":0,"size":2,'
    '"customTag":"bot1-000017","stopLossBracket":{"ticks":-60,"type":4},'
    '"takeProfitBracket":{"ticks":120,"type":1},"isAutomated":true}',
    "Order/modify": f'{{{_OF},"orderId":3900000103,"limitPrice":25130.75}}',
    "Order/cancel": f'{{{_OF},"orderId":3900000103}}',
    "Order/search": f'{{{_OF},{_SPAN},"endTimestamp":"2026-10-01T14:32:00+00:00"}}',
    "Order/searchOpen": f"{{{_OF}}}",
    "Order/searchById": f'{{{_OF},"orderId":3900000103}}',
    "Order/v2/query": f'{{"filter":{{{_OF},"statuses":[1,6,7,8]}},"pageSize":100,'
    '"pageOffset":100,"sortBy":1,"sortDirection":0,"includeTotalCount":true}',
    "Position/searchOpen": f"{{{_OF}}}",
    "Position/closeContract": f'{{{_OF},"contractId":"CON.F.US.MNQ.Z26"}}',
    "Position/partialCloseContract": f'{{{_OF},"contractId":"CON.F.US.MNQ.Z26","size":1}}',
    "Trade/search": f"{{{_OF},{_SPAN}}}",
}
"""Bodies that our client must send, byte for byte."""

REFUSALS = {
    "Auth/loginKey": '{"token":null,"success":false,"errorCode":9,"errorMessage":null}',
    "Auth/loginApp": '{"success":false,"errorCode":5,"errorMessage":null}',
    "Auth/validate": '{"success":false,"errorCode":3,"errorMessage":"expired"}',
    "Auth/logout": '{"success":false,"errorCode":1,"errorMessage":null}',
    "Contract/searchById": '{"contract":null,"success":false,"errorCode":1,"errorMessage":null}',
    "History/retrieveBars": '{"bars":null,"success":false,"errorCode":1,"errorMessage":null}',
    "Order/place": '{"orderId":3900000102,"success":false,"errorCode":2,"errorMessage":"Brackets '
    'cannot be used with Position Brackets. You must enable Auto OCO Brackets."}',
    "Order/modify": '{"success":false,"errorCode":3,"errorMessage":"Invalid price. Price is '
    'outside allowed range."}',
    "Order/cancel": '{"success":false,"errorCode":6,"errorMessage":"Live accounts not supported"}',
    "Order/search": '{"orders":null,"success":false,"errorCode":1,"errorMessage":null}',
    "Order/searchOpen": '{"success":false,"errorCode":1,"errorMessage":null}',
    "Order/searchById": '{"order":null,"success":false,"errorCode":1,"errorMessage":null}',
    "Order/v2/query": '{"orders":[],"success":false,"errorCode":1,"errorMessage":null}',
    "Position/searchOpen": '{"positions":null,"success":false,"errorCode":1,"errorMessage":null}',
    "Position/closeContract": '{"success":false,"errorCode":2,"errorMessage":null}',
    "Position/partialCloseContract": '{"success":false,"errorCode":5,"errorMessage":null}',
    "Trade/search": '{"trades":null,"success":false,"errorCode":1,"errorMessage":null}',
}
REFUSED_AS = {
    "Auth/loginKey": "ApiSubscriptionNotFound", "Auth/loginApp": "AppVerificationFailed",
    "Auth/validate": "ExpiredToken", "Auth/logout": "InvalidSession",
    "Contract/searchById": "ContractNotFound", "History/retrieveBars": "ContractNotFound",
    "Order/place": "OrderRejected", "Order/modify": "Rejected", "Order/cancel": "AccountRejected",
    "Order/search": "AccountNotFound", "Order/searchOpen": "AccountNotFound",
    "Order/searchById": "OrderNotFound", "Order/v2/query": "AccountNotFound",
    "Position/searchOpen": "AccountNotFound", "Position/closeContract": "PositionNotFound",
    "Position/partialCloseContract": "InvalidCloseSize", "Trade/search": "AccountNotFound",
}  # fmt: skip
"""Names of those codes; three operations know no code but success."""

SPARSE_QUOTE = (
    '["CON.F.US.MNQ.Z26",{"symbol":"F.US.MNQ","bestBid":25100.25,'
    '"lastUpdated":"2026-10-01T14:30:01.4347534+00:00",'
    '"timestamp":"2026-10-01T14:30:01.348+00:00","contract":"CON.F.US.MNQ.Z26"}]'
)
FULL_QUOTE = (
    '["CON.F.US.MNQ.Z26",{"symbol":"F.US.MNQ","symbolName":"/MNQ","lastPrice":25100.5,'
    '"bestBid":25100.25,"bestAsk":25100.75,"change":12.5,"changePercent":0.0005,"open":25088,'
    '"high":25130,"low":25050.25,"volume":120345,'
    '"lastUpdated":"2026-10-01T14:30:01.4347534+00:00","timestamp":"2026-10-01T14:30:01+00:00"}]'
)
TAPE = (
    '{"symbolId":"F.US.MNQ","price":25100.5,"timestamp":"2026-10-01T14:30:01.052+00:00","type":1,'
    '"volume":3,"contractId":"CON.F.US.MNQ.Z26"}'
)
DEPTH = (
    '{"timestamp":"2026-10-01T14:30:01.052+00:00","type":4,"price":25100.25,"volume":2,'
    '"currentVolume":0,"index":0}'
)
