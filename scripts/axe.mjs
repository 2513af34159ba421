// Run axe-core over pages in Chromium: node axe.mjs MODULES BROWSER PAGE...
// One JSON line a page and colour scheme: violations, and addresses outside the page's own files that it asked for.
// A page is a file, or "COOKIES URL" of a server on this machine, which has light colours only.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, browserPath, ...pages] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const puppeteer = require("puppeteer-core");
const axe = require("axe-core");

const browser = await puppeteer.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"],
});
for (const given of pages) {
  const served = given.includes(" http://127.0.0.1:");
  const [cookies, path] = served ? given.split(" ") : ["", given];
  const address = served ? path : pathToFileURL(path).href;
  const own = served ? new URL(address).origin : "file:";
  for (const scheme of served ? ["light"] : ["light", "dark"]) {
    const page = await browser.newPage();
    const outside = [];
    page.on("request", (request) => {
      if (!/^(data|blob|about|chrome):/.test(request.url()) && !request.url().startsWith(own)) outside.push(request.url());
    });
    for (const [name, value] of cookies.split(";").filter(Boolean).map((one) => one.split("="))) {
      await page.setCookie({ name, value, url: address });
    }
    await page.setBypassCSP(true);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(address, { waitUntil: "load" });
    await page.evaluate(axe.source);
    const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const violations = result.violations.map((one) => ({
      rule: one.id,
      impact: one.impact,
      help: one.help,
      nodes: one.nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary.split("\n").slice(1).join(" ").trim()}`),
    }));
    console.log(JSON.stringify({ path, scheme, passes: result.passes.length, violations, outside }));
    for (const { name } of served ? await page.cookies() : []) await page.deleteCookie({ name });
    await page.close();
  }
}
await browser.close();
