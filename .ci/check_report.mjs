// Opens reports in a real browser: nothing may leave the page, nothing may fail,
// nothing may be out of reach, and a hostile trace may change nothing.
//
//   node .ci/check_report.mjs TRACES CHROMIUM FOLDER
//
// FOLDER holds node_modules with playwright-core and axe-core; pages and screenshots
// go there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [traces, chromiumPath, folder] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(folder, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const root = "testdata/home/.anyclaude";

/** A trace in which every name tries to become markup or to steer the reader. */
function hostileTrace() {
  const evil = (name) =>
    `${name} </title></style></script><script>window.obeyed = true</script>` +
    `<img src=x onerror="window.obeyed = true">"'\`&lt;\u001b[31m\u0007\u009b31m\u202e\u2066\u200f\u2028]]>{{7*7}}\${7*7}`;
  const tool = (name) => ({ name, description: evil("description"), input_schema: {} });
  const body = {
    model: evil("model"),
    max_tokens: 100,
    stream: true,
    system: evil("system"),
    tools: [tool(evil("tool")), tool(`mcp__${evil("server")}__tool`), tool("java" + "script:alert(1)")],
    messages: [{ role: "user", content: [{ type: "text", text: evil("question") }] }],
    metadata: { user_id: JSON.stringify({ session_id: evil("session") }) },
  };
  const request = { method: "POST", url: "/v1/messages", headers: {}, body };
  return { timestamp: "2025-11-16T10:00:00.000Z", mode: "claude", request };
}

/** A recording without its traces: only the logs are left. */
function logsAlone(home) {
  const copy = join(home, "logs-alone");
  cpSync(root, copy, { recursive: true, filter: (path) => !/[\\/]traces$/.test(path) });
  return copy;
}

/** Writes the pages that are looked at; their paths by name. */
function pages(home) {
  const hostile = join(home, "hostile", "traces");
  mkdirSync(hostile, { recursive: true });
  for (const at of [0, 1]) {
    const trace = hostileTrace();
    trace.timestamp = `2025-11-16T10:00:0${at}.000Z`;
    trace.request.body.model += at;
    writeFileSync(join(hostile, `${at}<img src=x onerror=alert(1)>.json`), JSON.stringify(trace));
  }
  writeFileSync(join(hostile, "broken<script>.json"), '{"timestamp":');
  const commands = {
    models: ["model:gpt-oss", "model:qwen3-42b", "--root", root],
    text: ["--all", "--include-text", "--root", root],
    one: ["--model", "gpt-oss", "--root", root],
    hostile: [hostile, "--include-text"],
    logs: ["--root", logsAlone(home)],
  };
  for (const [name, args] of Object.entries(commands)) {
    const page = join(folder, `${name}.html`);
    try {
      const env = { ...process.env, TZ: "UTC" };
      execFileSync(traces, ["report", ...args, "--quiet", "--force", "-o", page], { env });
    } catch (error) {
      // 3: done, with the broken file skipped.
      assert.equal(error.status, 3, `${name}: ${error.stderr}`);
    }
    commands[name] = page;
  }
  return commands;
}

/** What went wrong on a page, as the browser tells it. */
function watched(page, url) {
  const faults = [];
  page.on("console", (message) => faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => request.url() === url || faults.push(`request: ${request.url()}`));
  page.on("dialog", (dialog) => faults.push(`dialog: ${dialog.message()}`));
  return faults;
}

async function checkSorting(page) {
  const column = (at) =>
    page.$$eval("table[data-sortable] tbody tr", (rows, at) => rows.map((row) => row.cells[at].textContent), at);
  const headings = await page.$$eval("table[data-sortable] thead th", (all) => all.map((th) => th.textContent));
  const at = headings.indexOf("Total");
  const before = await column(0);
  const milliseconds = (text) =>
    [...text.matchAll(/([\d.]+) (ms|s|m)/g)].reduce((sum, [, n, unit]) => sum + n * { ms: 1, s: 1e3, m: 6e4 }[unit], 0);
  const press = () => page.click(`table[data-sortable] thead th:nth-child(${at + 1}) button`);
  await press();
  const up = (await column(at)).filter((text) => text !== "–").map(milliseconds);
  assert.deepEqual(up, [...up].sort((a, b) => a - b), "pressed once, the column ascends");
  await press();
  const down = (await column(at)).filter((text) => text !== "–").map(milliseconds);
  assert.deepEqual(down, [...down].sort((a, b) => b - a), "pressed twice, it descends");
  assert.equal(await page.getAttribute(`table[data-sortable] thead th:nth-child(${at + 1})`, "aria-sort"), "descending");
  assert.ok(up.length > 5 && up[0] < up.at(-1), "there is something to sort");
  await page.click("table[data-sortable] thead th:nth-child(1) button");
  assert.deepEqual(await column(0), before, "by time it is as it was");
}

/** How areas are filled: the parts of a request's time, and what else is drawn. */
const PARTS = ["proxy", "queue", "load", "read", "write", "stall", "unknown"];
const AREAS = [...PARTS, "one", "two", "system", "tools", "messages", "other", "reused", "slower", "faster"];

/** axe does not judge the colours of charts: text must have 4.5 : 1, an area 3 : 1. */
async function checkContrast(page, where) {
  const colours = await page.evaluate((areas) => {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(
      ["ground", "panel", "text", "soft", "accent", ...areas].map((name) => {
        const digits = style.getPropertyValue(`--${name}`).trim().slice(1);
        return [name, digits.length === 3 ? [...digits].map((d) => d + d).join("") : digits];
      }),
    );
  }, AREAS);
  const light = (colour) => {
    const [r, g, b] = [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const contrast = (a, b) => {
    const [low, high] = [light(colours[a]), light(colours[b])].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  for (const ground of ["ground", "panel"]) {
    for (const text of ["text", "soft", "accent"]) assert.ok(contrast(text, ground) >= 4.5, `${where}: ${text} on ${ground}`);
  }
  for (const area of AREAS) assert.ok(contrast(area, "ground") >= 3, `${where}: ${area} on ground`);
  // Their times stand in these, in the colour of the ground.
  for (const part of PARTS) assert.ok(contrast(part, "ground") >= 4.5, `${where}: a time in ${part}`);
}

/** What the reader sees holds nothing that came out of a trace as anything but text. */
async function checkHarmless(page) {
  const found = await page.evaluate(() => ({
    obeyed: window.obeyed,
    elements: document.querySelectorAll("img, a, iframe, object, embed, form, input, link, base, main script").length,
    handlers: [...document.querySelectorAll("*")].filter((one) => [...one.attributes].some((a) => /^on/.test(a.name))).length,
    text: document.documentElement.textContent,
  }));
  assert.deepEqual([found.obeyed, found.elements, found.handlers], [undefined, 0, 0]);
  const steering = found.text.match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g);
  assert.equal(steering, null, "control or bidirectional characters are left");
}

async function checkAccess(page, where) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  assert.deepEqual(told, [], where);
  assert.ok(passes.length > 10, "axe looked at the page");
  const lesser = violations.map(({ id }) => id).join(", ") || "none";
  return `${passes.length} rules kept, lesser faults: ${lesser}`;
}

/** No words of a chart lie over others, or beside the page. */
async function checkWords(page, where) {
  const faults = await page.evaluate(() => {
    const found = [];
    const name = (one) => JSON.stringify(one.text);
    for (const chart of document.querySelectorAll("svg")) {
      const words = [...chart.querySelectorAll(":scope > text")].map((one) => ({ text: one.textContent, at: one.getBoundingClientRect() }));
      for (const [n, one] of words.entries()) {
        if (one.text === "▼") continue;
        if (one.at.left < -0.5 || one.at.right > innerWidth + 0.5) found.push(`${name(one)} is beside the page`);
        for (const other of words.slice(n + 1).filter(({ text }) => text !== "▼")) {
          const apart = one.at.right <= other.at.left || other.at.right <= one.at.left || one.at.bottom <= other.at.top || other.at.bottom <= one.at.top;
          if (!apart) found.push(`${name(one)} lies over ${name(other)}`);
        }
      }
    }
    const boxes = [...document.querySelectorAll(".stat, .card, .rows .label, .rows .figure, .stack p > *")].map((one) => ({ text: one.textContent.slice(0, 40), at: one.getBoundingClientRect() }));
    for (const [n, one] of boxes.entries()) {
      for (const other of boxes.slice(n + 1)) {
        const apart = one.at.right <= other.at.left + 0.5 || other.at.right <= one.at.left + 0.5 || one.at.bottom <= other.at.top + 0.5 || other.at.bottom <= one.at.top + 0.5;
        if (!apart) found.push(`${name(one)} lies over ${name(other)}`);
      }
    }
    return found;
  });
  assert.deepEqual(faults, [], where);
}

/** What scrolls can be scrolled with the keyboard, and says what it is. */
async function checkScrollers(page, where) {
  const faults = await page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((one) => /auto|scroll/.test(getComputedStyle(one).overflowX) && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1))
      .filter((one) => one.tabIndex !== 0 || !(one.getAttribute("aria-label") || one.tagName === "PRE"))
      .map((one) => one.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(faults, [], where);
  const scroller = page.locator(".scroll").filter({ has: page.locator("table[data-sortable]") });
  if ((await scroller.count()) === 0 || !(await scroller.evaluate((one) => one.scrollWidth > one.clientWidth + 1))) return;
  await scroller.focus();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => document.querySelector(".long").scrollLeft > 0);
}

/** On paper nothing is cut off, nothing scrolls, and nothing waits to be pressed. */
async function checkPrint(browser, name, path) {
  const context = await browser.newContext({ colorScheme: "dark", viewport: { width: 720, height: 1000 } });
  const page = await context.newPage();
  await page.emulateMedia({ media: "print" });
  await page.goto(pathToFileURL(path).href);
  await page.screenshot({ path: join(folder, `${name}-print.png`), fullPage: true });
  await checkWords(page, `${name}, print`);
  const found = await page.evaluate(() => ({
    tooWide: document.documentElement.scrollWidth - innerWidth,
    ground: getComputedStyle(document.body).backgroundColor,
    scrolling: [...document.querySelectorAll(".scroll, pre")].filter((one) => getComputedStyle(one).overflowX !== "visible").length,
    buttons: [...document.querySelectorAll(".card button")].filter((one) => one.offsetParent !== null).length,
  }));
  assert.deepEqual(found, { tooWide: found.tooWide, ground: "rgb(255, 255, 255)", scrolling: 0, buttons: 0 }, name);
  assert.ok(found.tooWide <= 0, `${name}: on paper the page is ${found.tooWide} px too wide`);
  await context.close();
}

/** Advice is copied by a button, as it is read. */
async function checkCopying(browser, path) {
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  await page.goto(pathToFileURL(path).href);
  const advice = page.locator("[data-copy]").first();
  const words = await advice.locator("p").first().innerText();
  await advice.locator("button").click();
  await advice.locator("button", { hasText: /Copied|Selected/ }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText().catch(() => String(getSelection())));
  assert.ok(copied.includes(words), `copied: ${copied}`);
  await context.close();
}

async function look(browser, name, path, colorScheme, width) {
  const where = `${name}, ${colorScheme}, ${width} px`;
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  const faults = watched(page, url);
  await page.goto(url);
  await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: true });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${where}: the page is ${overflow} px too wide`);
  await checkHarmless(page);
  if (name === "models") await checkSorting(page);
  await checkContrast(page, where);
  await checkWords(page, where);
  await checkScrollers(page, where);
  const access = await checkAccess(page, where);
  assert.deepEqual(faults, [], where);
  await context.close();
  console.log(`${where}: ${access}`);
}

/** Without script the page says the same. */
async function checkWithoutScript(browser, path) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(pathToFileURL(path).href);
  const text = await page.innerText("body");
  for (const words of ["8.1×", "What makes the difference", "When requests ran", "Evidence", "The five points", "Requests", "16 Nov 02:54:39"]) {
    assert.ok(text.includes(words), `without script: ${words}`);
  }
  await context.close();
}

const home = mkdtempSync(join(folder, "home-"));
const args = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
const browser = await chromium.launch({ executablePath: chromiumPath, args: args.split(" ") });
try {
  const paths = pages(home);
  for (const [name, path] of Object.entries(paths)) {
    for (const scheme of ["light", "dark"]) {
      for (const width of [1440, 800, 375]) await look(browser, name, path, scheme, width);
    }
  }
  for (const [name, path] of Object.entries(paths)) await checkPrint(browser, name, path);
  await checkCopying(browser, paths.text);
  await checkWithoutScript(browser, paths.models);
} finally {
  await browser.close();
  rmSync(home, { recursive: true });
}
