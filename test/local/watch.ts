import { launchBrowser } from '../support/browser.ts'
import { liveALife } from '../support/story.ts'
import { pagesUrl } from './pages-url.ts'
import { startServer } from './server.ts'

/** How long the browser waits before each step, so that a person can follow. */
const SLOW_MS = 350

/**
 * `npm run demo -- --watch`: the life of an account in a browser that one can see.
 * @throws Error if there is no browser to see
 */
export async function watch(): Promise<void> {
  const browser = await launchBrowser({ slowMo: SLOW_MS })
  const server = await startServer({ port: 0, schedule: true, reload: false, quiet: true })
  try {
    const page = await browser.newPage({ locale: 'en-US', baseURL: pagesUrl(server.url) })
    await liveALife({ page, api: server.url })
  } finally {
    await browser.close()
    await server.close()
  }
}
