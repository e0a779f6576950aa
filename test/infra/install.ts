/**
 * Installs SST's components and the Pulumi packages that they use into `.sst/platform`, from the package
 * registry. Does nothing if the folder already has the right versions of SST and the providers.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SST_VERSION, toolPath } from '../../functions/deploy/tools.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MARK = join(ROOT, '.sst', 'platform', 'installed-for.txt')

const providers = /providers: \{.*\}/.exec(readFileSync(join(ROOT, 'sst.config.ts'), 'utf8'))?.[0]
const wanted = `sst ${SST_VERSION}, ${providers}\n`

if (!existsSync(MARK) || readFileSync(MARK, 'utf8') !== wanted) {
  const sst = await toolPath('sst')
  if (!sst) throw new Error(`SST is not published for ${process.platform}-${process.arch}`)
  // SST installs with Bun. Where no Bun is pinned, SST downloads its own.
  const bun = await toolPath('bun')
  console.error('installing the packages of SST and Pulumi')
  execFileSync(sst, ['install', '--stage', 'ci'], {
    cwd: ROOT,
    stdio: 'inherit',
    env: {
      ...process.env,
      SST_SKIP_DEPENDENCY_CHECK: '1',
      SST_TELEMETRY_DISABLED: '1',
      ...(bun !== undefined && { SST_BUN_PATH: bun }),
    },
  })
  writeFileSync(MARK, wanted)
}
