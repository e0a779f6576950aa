import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import chromium from '@sparticuz/chromium'
import { type Browser, chromium as playwright } from 'playwright-core'

const BIN = join(import.meta.dirname, '..', '..', 'node_modules', '@sparticuz', 'chromium', 'bin')

/** The libraries that the packaged Chromium needs and a bare Linux may lack; the package unpacks them on Lambda alone. */
function librariesFolder(): string {
  const folder = join(tmpdir(), 'bursar-chromium')
  if (!existsSync(join(folder, 'lib'))) {
    mkdirSync(folder, { recursive: true })
    const input = brotliDecompressSync(readFileSync(join(BIN, 'al2023.tar.br')))
    spawnSync('tar', ['-x', '-C', folder], { input })
  }
  return join(folder, 'lib')
}

/** Ways to a browser that somebody has installed, the likeliest first. */
const INSTALLED = [{ channel: 'chrome' }, { channel: 'msedge' }, { executablePath: '/usr/bin/chromium' }]

/**
 * The browser that a package brings on Linux, and elsewhere, or to be seen, the one that is there.
 * @throws Error if no browser is there
 */
export async function launchBrowser(seen?: { slowMo: number }): Promise<Browser> {
  if (process.platform !== 'linux' || process.arch !== 'x64' || seen) {
    for (const way of INSTALLED) {
      const browser = await playwright.launch({ ...way, headless: !seen, ...seen }).catch(() => undefined)
      if (browser) return browser
    }
    throw new Error('No Chrome, Edge or Chromium is installed here, or there is no screen to show it on.')
  }
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    // Its sandbox needs a kernel feature that containers and root do not have. It visits pages of this machine alone.
    args: ['--no-sandbox', '--disable-gpu'],
    env: { ...process.env, LD_LIBRARY_PATH: librariesFolder() },
    headless: true,
  })
}
