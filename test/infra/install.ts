import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Installs SST's components and the Pulumi packages that they use into `.sst/platform`, from the package
 * registry. Does nothing if the folder already has the right versions of SST and the providers.
 */
const ROOT = join(import.meta.dirname, '..', '..')
const MARK = join(ROOT, '.sst', 'platform', 'installed-for.txt')

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const { version } = JSON.parse(read('node_modules/sst/package.json'))
const providers = /providers: \{.*\}/.exec(read('sst.config.ts'))?.[0]
const wanted = `sst ${version}, ${providers}\n`

if (!existsSync(MARK) || readFileSync(MARK, 'utf8') !== wanted) {
  // SST installs with Bun. If the packaged Bun does not run on this machine, SST downloads its own.
  const bun = join(ROOT, 'node_modules/@oven/bun-linux-x64-baseline/bin/bun')
  execFileSync(process.execPath, [join(ROOT, 'node_modules/sst/bin/sst.mjs'), 'install', '--stage', 'ci'], {
    cwd: ROOT,
    stdio: 'inherit',
    env: {
      ...process.env,
      SST_SKIP_DEPENDENCY_CHECK: '1',
      SST_TELEMETRY_DISABLED: '1',
      ...(existsSync(bun) && { SST_BUN_PATH: bun }),
    },
  })
  writeFileSync(MARK, wanted)
}
