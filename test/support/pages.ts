import { join } from 'node:path'
import axe from 'axe-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { pagesUrl } from '../local/pages-url.ts'
import { type Server, startServer } from '../local/server.ts'
import { launchBrowser } from './browser.ts'
import { control, type Person } from './story.ts'

/** How long a page may take, on a machine however busy. */
const PATIENCE_MS = 60_000

/** The local stack with its pages, and a browser, for the tests of one file. */
export function pagesForTests() {
  let server: Server
  let browser: Browser
  const contexts: BrowserContext[] = []
  const problems: string[] = []

  beforeAll(async () => {
    server = await startServer({ port: 0, schedule: true, reload: false, quiet: true })
    browser = await launchBrowser()
  })
  afterAll(async () => {
    for (const context of contexts) await context.close()
    await browser?.close()
    await server?.close()
  })

  /** Answers of 4xx are part of many a story, and Chromium has a line in the console for each. */
  const isExpected = (text: string) =>
    /Failed to load resource: the server responded with a status of 4\d\d/.test(text)

  const stack = {
    api: () => server.url,
    control: <T>(method: string, path: string, body?: object) => control<T>(server.url, method, path, body),
    /** A page of a browser with no history. What must never happen on any page is noted as a problem. */
    async open(options: BrowserContextOptions = {}): Promise<Page> {
      const context = await browser.newContext({
        locale: 'en-US',
        timezoneId: 'UTC',
        viewport: { width: 1280, height: 800 },
        baseURL: pagesUrl(server.url),
        reducedMotion: 'reduce',
        ...options,
      })
      contexts.push(context)
      context.setDefaultTimeout(PATIENCE_MS)
      context.on('page', (page) => watch(page))
      return context.newPage()
    },
    /** Every console error, uncaught error and request to elsewhere so far, which are then forgotten. */
    problems: () => problems.splice(0),
    /** Somebody in front of a page, with a mailbox. */
    personAt: (page: Page): Person => ({ page, api: server.url }),
    person: async (options?: BrowserContextOptions): Promise<Person> =>
      stack.personAt(await stack.open(options)),
  }
  return stack

  function watch(page: Page): void {
    page.on('console', (message) => {
      if (message.type() === 'error' && !isExpected(message.text()))
        problems.push(`${message.text()} at ${page.url()}`)
    })
    page.on('pageerror', (error) => problems.push(`${error.message} at ${page.url()}`))
    page.on('request', (request) => {
      const { protocol, hostname } = new URL(request.url())
      const isHere = /^(data|blob):$/.test(protocol) || /^(localhost|127\.0\.0\.1)$/.test(hostname)
      if (!isHere) problems.push(`request to ${request.url()}`)
    })
  }
}

/** What axe finds on the page as it stands: rule and place of each violation. */
export async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<{ violations: { id: string; nodes: { target: string[] }[] }[] }>(
    'axe.run(document, { resultTypes: ["violations"] })',
  )
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`))
}

const SCREENSHOTS = join(import.meta.dirname, '..', '..', 'functions', 'pages', 'screenshots')

/** Keeps a picture of the page for the README, with `npm run screenshots`. */
export async function shoot(page: Page, name: string): Promise<void> {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
}
