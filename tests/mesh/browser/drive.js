// Asks questions on the page of examples/browser as a person would: drive.js URL QUESTION...
// Prints what the page shows, in JSON. A question that begins with STOP is stopped when its answer
// has begun.

import puppeteer from "puppeteer-core";

const [url, ...questions] = process.argv.slice(2);
const STOP = "STOP ";
const hasText = (selector) => document.querySelector(selector).textContent !== "";

const browser = await puppeteer.launch({
  executablePath: "/usr/bin/chromium",
  // Root has no sandbox.
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
  protocolTimeout: 240_000,
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  page.on("console", (message) => console.error(message.text()));
  await page.goto(url);
  const shown = [];
  for (const question of questions) {
    await page.$eval("#question", (input) => (input.value = ""));
    await page.type("#question", question.replace(STOP, ""));
    await page.click("#chat button");
    if (question.startsWith(STOP)) {
      await page.waitForFunction(hasText, {}, "#answer");
      await page.click("#stop");
    }
    await page.waitForFunction(hasText, {}, "#outcome");
    const read = (selector) => page.$eval(selector, (element) => element.textContent);
    shown.push({ answer: await read("#answer"), outcome: await read("#outcome") });
  }
  console.log(JSON.stringify(shown));
} finally {
  await browser.close();
}
