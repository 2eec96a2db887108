// Microsoft's @microsoft/signalr against a simulator: microsoft.mjs URL KEY FOLDER, where FOLDER
// has the package in its node_modules. Prints a line per step; the exit code is 1 if one failed.
import { createRequire } from "node:module";

const [url, apiKey, folder] = process.argv.slice(2);
const signalR = createRequire(`${folder}/`)("@microsoft/signalr");
const heard = {};
let token = "";
let failed = false;

async function post(path, body) {
  const response = await fetch(`${url}/api/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!answer.success) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
}

async function until(condition, what) {
  for (const end = Date.now() + 10_000; !condition(); ) {
    if (Date.now() > end) throw new Error(`no ${what} in time`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function step(name, work) {
  try {
    await work();
    console.log(`ok ${name}`);
  } catch (error) {
    failed = true;
    console.log(`FAIL ${name}: ${error}`);
  }
}

function hub(path, options) {
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(`${url}/hubs/${path}`, { accessTokenFactory: () => token, ...options })
    .configureLogging(signalR.LogLevel.None)
    .withAutomaticReconnect([0, 50, 100, 500])
    .build();
  for (const name of ["Quote", "Trade", "Depth", "UserAccount", "UserOrder", "UserPosition", "UserTrade"]) {
    connection.on(`Gateway${name}`, (...row) => { (heard[name] ??= []).push(row); });
  }
  return connection;
}

const direct = { skipNegotiation: true, transport: signalR.HttpTransportType.WebSockets };
const last = (name) => heard[name]?.at(-1)[0].data;
let account, contract, user, market;

async function subscribe() {
  for (const stream of ["Quotes", "Trades", "MarketDepth"]) {
    await market.invoke(`SubscribeContract${stream}`, contract);
  }
}

async function streams() {
  for (const name of ["Quote", "Trade", "Depth"]) {
    const before = heard[name]?.length ?? 0;
    await until(() => (heard[name]?.length ?? 0) > before + 1, name);
    if (heard[name][0][0] !== contract) throw new Error(`${name} of ${heard[name][0][0]}`);
  }
}

await step("log in", async () => {
  token = (await post("Auth/loginKey", { userName: "trader", apiKey })).token;
  account = (await post("Account/search", { onlyActiveAccounts: true })).accounts[0].id;
  const found = await post("Contract/search", { searchText: "MNQ", live: false });
  contract = found.contracts.find((one) => one.symbolId === "F.US.MNQ").id;
});
await step("connect as the official sample does", async () => {
  user = hub(`user?access_token=${token}`, direct);
  await user.start();
});
await step("connect with negotiate", async () => {
  market = hub("market", {});
  await market.start();
});
await step("stateful reconnect is asked for and not granted", async () => {
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(`${url}/hubs/market`, { accessTokenFactory: () => token })
    .withStatefulReconnect().configureLogging(signalR.LogLevel.None).build();
  await connection.start();
  await connection.invoke("SubscribeContractQuotes", contract);
  await connection.stop();
});
await step("a wrong token is refused", async () => {
  const refused = await hub("market", { accessTokenFactory: () => "x" }).start().catch(String);
  if (!String(refused).includes("401")) throw new Error(refused);
});
await step("subscribe", async () => {
  await user.invoke("SubscribeAccounts");
  for (const stream of ["Orders", "Positions", "Trades"]) {
    await user.invoke(`Subscribe${stream}`, account);
  }
  await subscribe();
});
await step("an unknown method is an error", async () => {
  const error = await market.invoke("Heartbeat").catch(String);
  if (!String(error).includes("Method does not exist")) throw new Error(error);
});
await step("streams", streams);
await step("bracket, close, events", async () => {
  const own = { accountId: account, contractId: contract };
  const entry = await post("Order/place", {
    ...own, type: 2, side: 0, size: 1, customTag: "js",
    stopLossBracket: { ticks: -200, type: 4 }, takeProfitBracket: { ticks: 400, type: 1 },
  });
  const legs = () => heard.UserOrder.filter(
    ([{ data }]) => data.parentOrderId === entry.orderId && data.status === 1);
  await until(() => heard.UserOrder && legs().length === 2, "active legs");
  await until(() => last("UserPosition")?.size === 1, "position");
  await post("Position/closeContract", own);
  await until(() => last("UserPosition").size === 0, "end of the position");
  for (const [{ data }] of legs()) {
    await post("Order/cancel", { accountId: account, orderId: data.id });
  }
  await until(() => last("UserTrade") && last("UserAccount"), "fill and account");
});
await step("a drop, and it comes back by itself", async () => {
  const back = new Promise((resolve) => { market.onreconnected(resolve); });
  const fault = { fault: "hub_drop", hub: "market", step: "now", close: "none" };
  await fetch(`${url}/control/faults`, { method: "POST", body: JSON.stringify(fault) });
  await back;
  await subscribe();
  await streams();
});
await step("stop", async () => {
  await user.stop();
  await market.stop();
});
process.exit(failed ? 1 : 0);
