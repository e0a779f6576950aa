import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { type Browser, chromium as playwright } from 'playwright-core'

const PACKAGE = join(import.meta.dirname, '..', '..', 'node_modules', '@sparticuz', 'chromium')

const packed = (name: string): Buffer => brotliDecompressSync(readFileSync(join(PACKAGE, 'bin', name)))

/**
 * Unpacks the packaged Chromium, once for each version on a machine, with the libraries that it needs and a bare Linux may
 * lack.
 * @returns the folder, which has `chromium` and `lib`
 */
function unpacked(): string {
  const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'))
  const folder = join(tmpdir(), `bursar-chromium-${version}`)
  if (existsSync(folder)) return folder
  // Several processes may unpack at once: each does so aside, and the first one that is ready gives the folder its name.
  const aside = mkdtempSync(`${folder}-`)
  writeFileSync(join(aside, 'chromium'), packed('chromium.br'), { mode: 0o700 })
  spawnSync('tar', ['-x', '-C', aside], { input: packed('al2023.tar.br') })
  try {
    renameSync(aside, folder)
  } catch {
    rmSync(aside, { recursive: true })
  }
  return folder
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
  const folder = unpacked()
  return playwright.launch({
    executablePath: join(folder, 'chromium'),
    // Its sandbox needs a kernel feature that containers and root do not have. It visits pages of this machine alone.
    args: ['--no-sandbox', '--disable-gpu'],
    env: { ...process.env, LD_LIBRARY_PATH: join(folder, 'lib') },
    headless: true,
  })
}
