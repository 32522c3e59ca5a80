// sparkplug-client as an edge node: one device, 300 values. PORT MODULE
const [port, where] = process.argv.slice(2);
const client = require(where).newClient({
  serverUrl: `tcp://127.0.0.1:${port}`, username: "", password: "", groupId: "peers",
  edgeNode: "npm-node", clientId: "npm-node", version: "spBv1.0", publishDeath: true,
});
let last = 0; // each value has a time of its own: a timer that runs late fires twice in one millisecond
const now = () => (last = Math.max(last + 1, Date.now()));
const metric = (value) => ({ name: "co2", type: "Double", value, timestamp: now() });
const message = (metrics) => ({ timestamp: Date.now(), metrics });
client.on("birth", () => {
  client.publishNodeBirth(message([{ name: "Node Control/Rebirth", type: "Boolean", value: false }]));
  client.publishDeviceBirth("meter", message([metric(0.5)]));
  let i = 0;
  const timer = setInterval(() => {
    if (i < 300) return client.publishDeviceData("meter", message([metric(1.0 + i++)]));
    clearInterval(timer);
    setTimeout(() => { client.stop(); setTimeout(() => process.exit(0), 500); }, 1000);
  }, 3);
});
