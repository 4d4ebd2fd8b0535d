// Runs AT Protocol's own development network and takes orders, one a line, on standard input:
//   process  wait until the AppView has indexed everything the PDS holds
//   down     refuse connections to the PDS and the AppView; the data stays
//   up       listen again
//   stop     end (so does the end of the input, SIGTERM and SIGINT)
// Each order, and the start, is answered with one JSON line on standard output.
//
// DEVNET_HOME          folder that holds node_modules
// DEVNET_POSTGRES_URL  database to use; its name ends in _devnet, and it is dropped and created again
// DEVNET_PDS_PORT, DEVNET_APPVIEW_PORT, DEVNET_RATE_LIMITS=true

import { once } from "node:events";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

const PROCESS_TIMEOUT_MS = 120_000;
const CLOSE_TIMEOUT_MS = 10_000;

const require = createRequire(path.join(process.env.DEVNET_HOME ?? ".", "package.json"));
const databaseUrl = process.env.DEVNET_POSTGRES_URL ?? "postgresql://postgres@127.0.0.1:5432/postfuze_devnet";
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "devnet-"));

let network;
let stopping = false;

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
console.log = console.info = console.error; // standard output carries answers only

async function resetDatabase({ create }) {
  const { Client } = require("pg");
  const url = new URL(databaseUrl);
  const name = decodeURIComponent(url.pathname.slice(1));
  if (!/^\w+_devnet$/.test(name)) throw new Error(`The database ${name} would be dropped: name one that ends in _devnet`);
  url.pathname = "/postgres";
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
    if (create) await client.query(`CREATE DATABASE "${name}"`);
  } finally {
    await client.end();
  }
}

async function start() {
  await resetDatabase({ create: true });
  process.env.TMPDIR = scratch; // the PDS keeps its repositories below os.tmpdir()
  process.env.REDIS_HOST ??= "redis.invalid"; // asked for by dev-env, used by nothing in it
  const { TestNetwork } = require("@atproto/dev-env");
  const pdsPort = Number(process.env.DEVNET_PDS_PORT ?? 2583);
  const appviewPort = Number(process.env.DEVNET_APPVIEW_PORT ?? 2584);
  network = await TestNetwork.create({
    dbPostgresUrl: databaseUrl,
    dbPostgresSchema: "devnet",
    pds: {
      port: pdsPort,
      hostname: "localhost",
      enableDidDocWithSession: true,
      rateLimitsEnabled: process.env.DEVNET_RATE_LIMITS === "true",
    },
    bsky: { port: appviewPort, publicUrl: `http://localhost:${appviewPort}` },
  });
}

function facts() {
  return {
    ready: true,
    pds_url: `http://127.0.0.1:${network.pds.port}`,
    pds_did: network.pds.ctx.cfg.service.did,
    appview_url: `http://127.0.0.1:${network.bsky.port}`,
    appview_did: network.bsky.serverDid,
    plc_url: network.plc.url,
    jwt_secret: require("@atproto/dev-env/dist/const.js").JWT_SECRET,
  };
}

const services = () => [network.pds, network.bsky];

function down() {
  for (const { server } of services()) {
    if (!server.server.listening) continue;
    server.server.close();
    server.server.closeAllConnections();
  }
}

async function up() {
  for (const { server, port } of services()) {
    if (server.server.listening) continue;
    server.server.listen(port);
    await once(server.server, "listening");
  }
}

async function close() {
  if (network) {
    await up(); // closing expects open listeners
    await network.close();
  }
  await resetDatabase({ create: false });
}

async function stop(code) {
  if (stopping) return;
  stopping = true;
  const late = new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS));
  await Promise.race([close(), late]).catch((error) => console.error(error));
  fs.rmSync(scratch, { recursive: true, force: true });
  process.exit(code);
}

const orders = {
  process: () => network.processAll(PROCESS_TIMEOUT_MS),
  down,
  up,
};

async function obey() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = line.trim();
    if (order === "stop") break;
    try {
      if (!Object.hasOwn(orders, order)) throw new Error(`No such order: ${order}`);
      await orders[order]();
      say({ ok: order });
    } catch (error) {
      say({ failed: order, detail: String(error) });
    }
  }
}

for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => stop(0));
process.stdin.on("end", () => stop(0));
process.on("unhandledRejection", (error) => console.error(error)); // a watcher that lost its peer, while down
process.stdout.on("error", () => stop(1)); // nobody reads any more

try {
  await start();
  say(facts());
  await obey();
  await stop(0);
} catch (error) {
  console.error(error);
  await stop(1);
}
