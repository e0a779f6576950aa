import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { startServer } from '../local/server.ts'
import { type Account, startAccount } from './account.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Somebody who follows a page: a checkout of their own, a terminal, an empty AWS account. */
export interface Reader {
  /** Their checkout. */
  folder: string
  env: Record<string, string>
  account: Account
  /** The address of the local stack, which answers in the place of what they have deployed. */
  api: string
  /** The outputs that the last deployment printed. */
  outputs(): Record<string, unknown>
  /** What stand-ins refused since the last call. */
  complaints(): string
  close(): Promise<void>
}

/** Programs that a reader's terminal finds first. */
const PROGRAMS = {
  aws: 'exec node \'@docs/aws.ts\' "$@"',
  // `npm ci` would fetch what is there already.
  npm: 'if [ "$*" = ci ]; then test -f package-lock.json; else exec @npm "$@"; fi',
  // The CLI of Stripe asks stripe.com.
  npx: 'exec node \'@docs/stripe.ts\' "$@"',
}

const LEFT_OUT = ['node_modules', 'coverage', 'sst-env.d.ts']

/** Makes a checkout without the files that git ignores; packages and SST's files are links to ours. */
function checkOut(folder: string): void {
  const isLeftOut = (name: string) => (name.startsWith('.') && name !== '.npmrc') || LEFT_OUT.includes(name)
  for (const name of readdirSync(ROOT).filter((each) => !isLeftOut(each)))
    cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  mkdirSync(join(folder, '.sst'))
  for (const part of ['platform', 'tools']) symlinkSync(join(ROOT, '.sst', part), join(folder, '.sst', part))
  cpSync(join(ROOT, '.sst', 'provider-lock.json'), join(folder, '.sst', 'provider-lock.json'))
}

function writeProgram(folder: string, name: string, script: string): void {
  mkdirSync(folder, { recursive: true })
  const words = script.replaceAll('@docs', import.meta.dirname).replaceAll('@npm', programIn('npm'))
  writeFileSync(join(folder, name), `#!/bin/sh\n${words}\n`, { mode: 0o755 })
}

const programIn = (name: string): string => {
  const folders = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules'))
  const found = folders.map((folder) => join(folder, name)).find(existsSync)
  if (!found) throw new Error(`There is no ${name} on the PATH.`)
  return found
}

export async function startReader(): Promise<Reader> {
  const home = mkdtempSync(join(tmpdir(), 'bursar-reader-'))
  const [folder, programs] = [join(home, 'bursar'), join(home, 'bin')]
  mkdirSync(folder)
  checkOut(folder)
  for (const [name, script] of Object.entries(PROGRAMS)) writeProgram(programs, name, script)
  // Where SST keeps the Pulumi that it downloads.
  writeProgram(join(home, '.config', 'sst', 'bin'), 'pulumi', 'exec node \'@docs/pulumi.ts\' "$@"')
  const account = await startAccount()
  const server = await startServer({ port: 0, quiet: true, schedule: false, reload: false })
  const complaintsFile = join(home, 'complaints')
  const env = {
    PATH: [programs, join(process.execPath, '..'), process.env.PATH].join(delimiter),
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    npm_config_update_notifier: 'false',
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'not-real',
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL: account.url,
    SST_TELEMETRY_DISABLED: '1',
    SST_SKIP_DEPENDENCY_CHECK: '1',
    BURSAR_GRAPH: join(home, 'graph.json'),
    BURSAR_COMPLAINTS: complaintsFile,
    BURSAR_MADE: join(home, 'made.json'),
    BURSAR_API: server.url,
  }
  const state = () => [...account.objects].find(([key]) => /\/app\/bursar\/production\.json$/.test(key))?.[1]
  return {
    folder,
    env,
    account,
    api: server.url,
    outputs: () => JSON.parse(state()?.toString() ?? '{}').checkpoint?.latest?.resources?.[0]?.outputs ?? {},
    complaints() {
      const text = existsSync(complaintsFile) ? readFileSync(complaintsFile, 'utf8') : ''
      rmSync(complaintsFile, { force: true })
      return (
        text +
        account.unknown
          .splice(0)
          .map((each) => `test/docs/account.ts does not know ${each}\n`)
          .join('')
      )
    },
    async close() {
      await server.close()
      await account.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}
