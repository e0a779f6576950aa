import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** AWS's runtime client. It is built from source, so it is installed here on demand and not by `npm ci`. */
const RIC = 'aws-lambda-ric@4.0.2'
const FOLDER = join(ROOT, '.runtime')
const PACKAGE = join(FOLDER, 'node_modules', 'aws-lambda-ric')
const MARK = join(FOLDER, 'installed.txt')

/** What its build runs. `openssl` makes the certificate of the stand-ins. */
const TOOLS = ['cmake', 'make', 'g++', 'python3', 'autoconf', 'automake', 'libtoolize', 'openssl']

/**
 * Installs AWS's runtime client into `.runtime`, if it is not there yet.
 * @returns the path of its program
 * @throws Error with a sentence for the person at the terminal
 */
export function installRuntimeClient(): string {
  if (process.platform !== 'linux')
    throw new Error(
      'AWS’s runtime client runs on Linux alone. Run `npm run check:runtime` there, or in a container.',
    )
  const missing = TOOLS.filter((tool) => spawnSync('which', [tool]).status !== 0)
  if (missing.length > 0)
    throw new Error(
      `AWS’s runtime client is built from source, and ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing. On Debian or Ubuntu: sudo apt-get install cmake make g++ python3 autoconf automake libtool openssl. Then run this again.`,
    )
  const program = join(PACKAGE, 'index.mjs')
  if (existsSync(MARK) && readFileSync(MARK, 'utf8') === RIC && existsSync(program)) return program
  console.error(`building ${RIC} in .runtime, which takes one to six minutes`)
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'package.json'), '{"private": true}\n')
  const log = join(FOLDER, 'build.log')
  // With the headers of our own Node, node-gyp downloads none.
  const headers = join(ROOT, 'node_modules/node/node_modules', `node-${process.platform}-${process.arch}`)
  try {
    const output = execFileSync(
      'npm',
      ['install', '--no-audit', '--no-fund', '--foreground-scripts', '--save-exact', RIC],
      {
        cwd: FOLDER,
        stdio: ['ignore', 'pipe', 'pipe'],
        maxBuffer: 2 ** 26,
        env: { ...process.env, ...(existsSync(join(headers, 'include')) && { npm_config_nodedir: headers }) },
      },
    )
    writeFileSync(log, output)
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: Buffer | string; stderr?: Buffer | string }
    writeFileSync(log, `${stdout}\n${stderr}`)
    throw new Error(`${RIC} was not built. ${log} says why. Delete .runtime before you try again.`)
  }
  writeFileSync(MARK, RIC)
  return program
}
