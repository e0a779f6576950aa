import { type ChildProcess, execFile, execSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { transform } from 'esbuild'
import { afterAll, describe, expect, test, vi } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const { scripts, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

const folder = mkdtempSync(join(tmpdir(), 'bursar-run-'))
const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** A project that has the launcher, these files and nothing else. */
function project(name: string, files: Record<string, string>): string {
  const root = join(folder, name)
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), content)
  }
  mkdirSync(join(root, 'test'), { recursive: true })
  cpSync(join(ROOT, 'test/run.mjs'), join(root, 'test/run.mjs'))
  return root
}

const manifest = (more: object = {}) => JSON.stringify({ type: 'module', devDependencies, ...more })
const ENV = { PATH: dirname(process.execPath) + delimiter + process.env.PATH, HOME: folder }

/** Runs the launcher to its end. */
const launch = (cwd: string, args: string[], nodeOptions: string[] = [], more: Record<string, string> = {}) =>
  new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const words = [...nodeOptions, 'test/run.mjs', ...args]
    const child = execFile(process.execPath, words, { cwd, env: { ...ENV, ...more } }, (_, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    )
  })

describe('the launcher', () => {
  const TELLS = `console.log(JSON.stringify({ argv: process.argv.slice(1), own: import.meta.filename, deep: process.env.DEEP }))`

  test('runs a file with its arguments where Node would have them, and sets the variables that stand before it', async () => {
    const root = project('file', { 'package.json': manifest(), 'node_modules/x': '', 'a/tell.ts': TELLS })
    const { code, out, err } = await launch(root, ['DEEP=1=2', 'a/tell.ts', '--port', '0', 'X=1'])
    const { argv, own, deep } = JSON.parse(out)
    expect([code, err]).toEqual([0, ''])
    expect(argv).toEqual([own, '--port', '0', 'X=1'])
    expect(deep).toBe('1=2')
  })

  test('runs the command of a package by its name', async () => {
    const root = project('package', {
      'package.json': manifest(),
      'node_modules/tell/package.json': JSON.stringify({ type: 'module', bin: { tell: './cli.js' } }),
      'node_modules/tell/cli.js': TELLS,
    })
    const { out } = await launch(root, ['tell', 'run'])
    expect(JSON.parse(out).argv).toEqual([join(root, 'node_modules/tell/cli.js'), 'run'])
  })

  test('ends with the code of what it runs', async () => {
    const root = project('code', {
      'package.json': manifest(),
      'node_modules/x': '',
      'a.ts': 'process.exit(3)',
    })
    expect((await launch(root, ['./a.ts'])).code).toBe(3)
  })

  test('builds nothing after an installation without devDependencies, which has no tools for that', async () => {
    const files = { 'package.json': manifest(), 'node_modules/x': '', 'a.ts': 'process.exit(3)' }
    const [bare, whole] = [
      project('omit', files),
      project('tools', { ...files, 'node_modules/esbuild/x': '' }),
    ]
    const prepare = async (root: string) =>
      (await launch(root, ['./a.ts'], [], { npm_lifecycle_event: 'prepare' })).code
    expect([await prepare(bare), await prepare(whole)]).toEqual([0, 3])
  })

  test('parses in Node 14', async () => {
    const source = readFileSync(join(ROOT, 'test/run.mjs'), 'utf8')
    const { code } = await transform(source, { target: 'node14.13' })
    expect(code).toBe((await transform(source, { target: 'esnext' })).code)
  })
})

describe('what keeps a script from running is one sentence, with code 1', () => {
  const OLD = [
    '--import',
    `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.20.2'})`,
  ]
  const files = {
    'package.json': manifest(),
    'node_modules/node/package.json': '{}',
    'a.ts': 'const a: 1 = 1',
  }
  const needed = Number.parseInt(devDependencies.node, 10)

  test('an old Node, where the package `node` has no binary', async () => {
    const { code, out, err } = await launch(project('bare', files), ['./a.ts'], OLD)
    expect([code, out]).toEqual([1, ''])
    expect(err).toBe(
      `Bursar needs Node ${needed}, but this is Node 20.20.2 (${process.execPath}). The package \`node\`, which brings it, was installed without its install script: run \`npm rebuild node\`, or install Node ${needed}.\n`,
    )
  })

  test('an old Node beside a package `node` that is complete', async () => {
    const root = project('whole', { ...files, 'node_modules/node/bin/node': '' })
    expect((await launch(root, ['./a.ts'], OLD)).err).toMatch(
      /^Bursar needs .* Start it with `npm run`[^\n]+\n$/,
    )
  })

  test('packages that are not installed', async () => {
    const { code, err } = await launch(project('empty', { 'package.json': manifest() }), ['./a.ts'])
    expect([code, err]).toEqual([1, 'The packages are not installed. Run `npm ci` first.\n'])
  })
})

test.skipIf(process.platform === 'win32')(
  'SIGTERM to npm ends the script under a shell that stays its parent, too',
  async () => {
    const root = project('orphan', {
      'package.json': manifest({ scripts: { stay: 'node test/run.mjs stay.ts' } }),
      'node_modules/x': '',
      'stay.ts': `import { writeFileSync } from 'node:fs'
        process.on('SIGTERM', () => { writeFileSync('stopped', ''); process.exit() })
        setTimeout(() => process.exit(1), 30_000)
        console.log('stays')`,
      // A command follows, so that the shell cannot become the script.
      shell: '#!/bin/sh\neval "$2"\nexit $?\n',
    })
    chmodSync(join(root, 'shell'), 0o755)
    const env = { ...ENV, npm_config_script_shell: join(root, 'shell') }
    const npm = spawn('npm', ['run', '-s', 'stay'], { cwd: root, env })
    children.push(npm)
    await once(npm.stdout, 'data')
    npm.kill('SIGTERM')
    await vi.waitFor(() => expect(existsSync(join(root, 'stopped'))).toBe(true), { timeout: 10_000 })
  },
)

test('on Windows an installation leaves a command `exec` that runs its arguments, elsewhere nothing', () => {
  const root = project('windows', { 'node_modules/.bin/x': '' })
  const installed = (env: Record<string, string>) => {
    execSync(scripts.postinstall, { cwd: root, env: { ...ENV, ...env } })
    return readdirSync(join(root, 'node_modules/.bin'))
  }
  const asWindows = `--import=data:text/javascript,Object.defineProperty(process,'platform',{value:'win32'})`
  expect(installed({})).toEqual(process.platform === 'win32' ? ['exec.cmd', 'x'] : ['x'])
  expect(installed({ NODE_OPTIONS: asWindows })).toEqual(['exec.cmd', 'x'])
  expect(readFileSync(join(root, 'node_modules/.bin/exec.cmd'), 'utf8')).toBe('@%*')
})

/** `dev` begins with the one word that Windows' shell has from the installation. */
const commandsOf = (script: string) => script.replace(/^exec /, '').split(' && ')

const { postinstall: _, ...started } = scripts as Record<string, string>

describe.each(Object.entries(started))('the script %s', (name, script) => {
  test('says the same to every shell: commands of words, joined by `&&`', () => {
    for (const command of commandsOf(script)) {
      expect(command).toMatch(/^(node|npm|tsc|biome|depcruise)( [\w./:=-]+)*$/)
    }
    expect(script.startsWith('exec ')).toBe(name === 'dev')
  })

  test('starts TypeScript through the launcher alone', () => {
    for (const command of commandsOf(script).filter((each) => each.startsWith('node '))) {
      expect(command).toMatch(/^node test\/run\.mjs /)
    }
  })
})
