import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { buildClient } from '../../functions/deploy/client-package.ts'
import { startServer } from '../local/server.ts'

/** The package as it is built, in a folder in which nothing else is installed. */

const ROOT = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'bursar-package-'))
const built = join(folder, 'node_modules', 'bursar')

/** The build's work folder has to find the type declarations of Node, so the build is made inside the project. */
beforeAll(async () => {
  const place = join(ROOT, '.client', 'test')
  await buildClient(place)
  mkdirSync(built, { recursive: true })
  cpSync(place, join(built, '.client'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(built, 'package.json'))
  rmSync(place, { recursive: true })
})
afterAll(() => rmSync(folder, { recursive: true }))

const read = (...path: string[]) => readFileSync(join(built, '.client', ...path), 'utf8')

test('the client has at most 19 KB, 6.1 KB of them compressed, and imports nothing', () => {
  const code = read('client.js')
  const shared = [...code.matchAll(/from"(\.\/[^"]+)"/g)].map(([, file = '']) => read(file))
  const whole = [code, ...shared].join('')
  expect(whole.length).toBeLessThanOrEqual(19_000)
  expect(gzipSync(whole).length).toBeLessThanOrEqual(6_100)
  expect(whole).not.toMatch(/from ?"(?!\.\/)|import\(|require\(|node:|process\b/)
})

test('a plain Node process loads it, by the name of the package', async () => {
  const script = `
    import { BursarError, createClient } from 'bursar/client'
    const fetch = async () => Response.json({ type: 'urn:bursar:problem:not_found' }, { status: 404 })
    const client = createClient({ url: 'https://api.example.com', fetch, key: 'k' })
    const error = await client.usage.balance().catch((error) => error)
    console.log(error instanceof BursarError, error.code)`
  writeFileSync(join(folder, 'main.mjs'), script)
  const { stdout } = await run(process.execPath, [join(folder, 'main.mjs')], { cwd: folder })
  expect(stdout).toBe('true not_found\n')
})

test('the meter has at most 48 KB, 16 KB of them compressed, imports nothing, and a plain Node process loads it', async () => {
  const code = read('meter.js')
  expect(code.length).toBeLessThanOrEqual(48_000)
  expect(gzipSync(code).length).toBeLessThanOrEqual(16_000)
  expect(code).not.toMatch(/from ?"|require\(|node:|process\b/)
  const script = `
    import { fakeMeter, meter } from 'bursar/meter'
    const fetch = async () => Response.json({ left: 4, used: 1 })
    const real = meter({ url: 'https://api.example.com', fetch })
    const { left } = await real.spend({ key: 'k', units: 1 })
    const work = fakeMeter({ keys: { k: 0 } }).fetch(() => new Response('fine'))
    const { status } = await work(new Request('http://x/', { headers: { 'x-api-key': 'k' } }))
    console.log(left, status)`
  writeFileSync(join(folder, 'meter.mjs'), script)
  const { stdout } = await run(process.execPath, [join(folder, 'meter.mjs')], { cwd: folder })
  expect(stdout).toBe('4 402\n')
})

test('the built folder, and the repository, pack to a package that has both entries and needs no other', async () => {
  const place = join(ROOT, '.client', 'pack')
  await buildClient(place)
  onTestFinished(() => rmSync(place, { recursive: true }))
  const { dependencies, exports } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'))
  const packed = async (cwd: string) =>
    (await run('npm', ['pack', '--ignore-scripts', '--dry-run', '--json'], { cwd })).stdout
  expect([dependencies, Object.keys(exports)]).toEqual([undefined, ['./client', './meter']])
  for (const part of ['client.js', 'meter.js', 'types/client.d.ts', 'types/meter.d.ts']) {
    expect(await packed(place)).toContain(`"${part}"`)
  }
  expect(await packed(ROOT)).toContain('".client/')
})

test('the example of its page runs as it stands', async () => {
  const page = readFileSync(join(ROOT, 'functions', 'client', 'README.md'), 'utf8')
  const [, example = ''] = /^```js\n([\s\S]*?)^```$/m.exec(page) ?? []
  const server = await startServer({ port: 0, schedule: false, reload: false, quiet: true })
  onTestFinished(() => server.close())
  expect(example).toContain("'http://127.0.0.1:3000'")
  writeFileSync(join(folder, 'try.mjs'), example.replace('http://127.0.0.1:3000', server.url))
  const { stdout } = await run(process.execPath, ['try.mjs'], { cwd: folder })
  expect(stdout).toBe('97 units left\n97 left of 1000: /v1/user/bundle\n1 trial 100\n')
})

const SETTINGS = {
  target: 'es2022',
  lib: ['es2023', 'dom', 'dom.iterable'],
  module: 'nodenext',
  types: [],
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
}

/** What tsc says about files; empty if it is content. */
async function complaints(at: string, files: Record<string, string>, settings: object): Promise<string> {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(at, file), text)
  const compilerOptions = { ...SETTINGS, ...settings }
  writeFileSync(join(at, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }))
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  return run(process.execPath, [tsc, '-p', at], { cwd: at }).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  )
}

describe('the declarations', () => {
  const types = () =>
    readdirSync(join(built, '.client', 'types'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.d.ts'),
    )

  test('import only each other, and are complete for a project that has no other types', async () => {
    for (const file of types()) expect(read('types', file)).not.toMatch(/(from |import\()['"](?!\.\/)|\.\.\//)
    const use = readFileSync(join(import.meta.dirname, 'types.ts'), 'utf8')
    const metered = `
      import { fakeMeter, type Meter, meter } from 'bursar/meter'
      const m: Meter = meter({ url: 'https://api.example.com', units: ({ path }) => path.length })
      export const GET = m.fetch((request: Request) => Response.json({ left: m.metered(request).left }))
      export const spent: number = fakeMeter({ keys: { k: 1 } }).spends.length`
    const files = { 'use.ts': use, 'metered.ts': metered, 'package.json': '{"type":"module"}' }
    expect(await complaints(folder, files, {})).toBe('')
  })

  test('have the same types as the rows', async () => {
    const place = join(ROOT, '.client', 'equal')
    mkdirSync(place, { recursive: true })
    cpSync(join(built, '.client', 'types', 'wire.d.ts'), join(place, 'spelled.d.ts'))
    const source = `
      import type { Endpoints as Rows, ErrorCode as RowCode } from '../../functions/client/wire.ts'
      import type { Endpoints as Spelled, ErrorCode as SpelledCode } from './spelled.d.ts'
      type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
      type Parts<A, B> = { [P in keyof A]: P extends keyof B ? Same<A[P], B[P]> : false }
      type Differing = { [N in keyof Rows]: Parts<Rows[N], Spelled[N]>[keyof Rows[N]] extends true ? never : N }
      export const differing: Differing[keyof Rows] extends never ? true : Differing[keyof Rows] = true
      export const names: Same<keyof Rows, keyof Spelled> = true
      export const codes: Same<RowCode, SpelledCode> = true`
    const ours = { target: 'es2024', lib: ['es2024'], types: ['node'], skipLibCheck: true }
    const settings = { ...ours, allowImportingTsExtensions: true }
    const said = await complaints(place, { 'equal.ts': source }, settings)
    rmSync(place, { recursive: true })
    expect(said).toBe('')
  })
})
