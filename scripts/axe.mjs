// Run axe-core over pages in Chromium: node axe.mjs MODULES BROWSER PAGE...
// One JSON line a page and colour scheme: violations, and addresses outside the page's own files that it asked for.
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
for (const path of pages) {
  for (const scheme of ["light", "dark"]) {
    const page = await browser.newPage();
    const outside = [];
    page.on("request", (request) => {
      if (!/^(file|data|blob|about|chrome):/.test(request.url())) outside.push(request.url());
    });
    await page.setBypassCSP(true);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(pathToFileURL(path).href, { waitUntil: "load" });
    await page.evaluate(axe.source);
    const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const violations = result.violations.map((one) => ({
      rule: one.id,
      impact: one.impact,
      help: one.help,
      nodes: one.nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary.split("\n").slice(1).join(" ").trim()}`),
    }));
    console.log(JSON.stringify({ path, scheme, passes: result.passes.length, violations, outside }));
    await page.close();
  }
}
await browser.close();
