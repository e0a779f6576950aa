import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { copyProject } from '../support/project-copy.ts'
import { integrityOf, type Published, startRegistry, tarballOf } from '../support/registry.ts'
import { freePort, launch, openDatabase, supervisors } from './database.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PLATFORM = `${process.platform}-${process.arch}`
const NAME = `@dynoxide/${PLATFORM}`
const { version: VERSION } = JSON.parse(
  readFileSync(join(ROOT, 'node_modules', NAME, 'package.json'), 'utf8'),
)

const folder = mkdtempSync(join(tmpdir(), 'bursar-database-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let folders = 0
const newFolder = () => {
  const made = join(folder, String(++folders))
  mkdirSync(made)
  return made
}

/** A program that leaves a file beside it, says where it listens as Dynoxide does, and stays. */
const LISTENS = `#!/bin/sh
touch "$0.started"
echo "Dynoxide listening on http://127.0.0.1:$4" >&2
exec sleep 60`

const LISTENING = /^http:\/\/127\.0\.0\.1:\d+$/

/** A folder for the PATH that has this program as `dynoxide`. */
function folderWith(program: string): string {
  const made = newFolder()
  writeFileSync(join(made, 'dynoxide'), program)
  chmodSync(join(made, 'dynoxide'), 0o755)
  return made
}

interface Place {
  /** The project whose stack opens the database. */
  project: string
  /** Comes first on the PATH. */
  path?: string
  registry?: string
  /** Where the data live; in memory without it. */
  dataFolder?: string
  home?: string
  /** A statement that runs first. */
  first?: string
}

/**
 * Opens a database in a process of its own, which then ends. `opened` is the database's URL or the sentence of the
 * failure; `said` is what stood on the screen.
 */
async function openIn({ project, path, registry, dataFolder, home = newFolder(), first = '' }: Place) {
  const options = dataFolder === undefined ? {} : { dbFile: join(dataFolder, 'table.db') }
  const module = pathToFileURL(join(project, 'test/local/database.ts')).href
  const script = `${first}
    const { openDatabase } = await import(${JSON.stringify(module)})
    const opened = openDatabase(${JSON.stringify(options)})
    console.log(await opened.then(({ url }) => url, ({ message }) => message))
    process.exit()`
  const PATH = [path ?? '', dirname(process.execPath), process.env.PATH].join(delimiter)
  const env = {
    PATH,
    HOME: home,
    npm_config_fetch_retries: '0',
    ...(registry !== undefined && { npm_config_registry: registry }),
  }
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: project, env })
  const [out, said] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { opened: out.trimEnd(), said }
}

const withoutPackage = copyProject({ without: '@dynoxide' })

describe('the database program', () => {
  test('is `dynoxide` on the PATH, though the package is installed', async () => {
    const path = folderWith(LISTENS)
    const { opened, said } = await openIn({ project: ROOT, path })
    expect([opened, said]).toEqual([expect.stringMatching(LISTENING), ''])
    expect(readdirSync(path)).toContain('dynoxide.started')
  })

  test('is the installed package’s where the PATH has none', async () => {
    const { opened, said } = await openIn({ project: ROOT })
    expect([opened, said]).toEqual([expect.stringMatching(LISTENING), ''])
  })

  test('gets another port when one is taken', async () => {
    const path = folderWith(`#!/bin/sh
      if mkdir "$0.tried"; then echo "error: port $4 is already in use" >&2; exit 1; fi
      echo "Dynoxide listening on http://127.0.0.1:$4" >&2
      exec sleep 60`)
    expect((await openIn({ project: ROOT, path })).opened).toMatch(LISTENING)
  })

  test('is quoted with what it said when it dies', async () => {
    const path = folderWith('#!/bin/sh\necho "error: out of order" >&2; exit 3')
    const { opened } = await openIn({ project: ROOT, path })
    expect(opened).toBe(`Dynoxide (${join(path, 'dynoxide')}) did not start: error: out of order`)
  })
})

describe.concurrent('where neither is there, the package comes through npm', { timeout: 60_000 }, () => {
  const published = (more: Partial<Published> = {}): Published => ({
    name: NAME,
    version: VERSION,
    files: { 'README.md': 'Words.\n'.repeat(100), 'bin/dynoxide': LISTENS },
    ...more,
  })

  /** Opens a database where the registry has these packages. */
  async function openWith(packages: Published[], place: Partial<Place> = {}) {
    const registry = await startRegistry(packages)
    const opened = await openIn({ project: withoutPackage, registry: registry.url, ...place })
    await registry.close()
    return { ...opened, asked: registry.asked }
  }

  /** The sentence that names the three ways out. */
  const waysOut = (why: RegExp) =>
    new RegExp(
      `^There is no database to run: ${why.source}\\. Put \`dynoxide\` on the PATH, or set DYNAMODB_ENDPOINT to a ` +
        `DynamoDB that runs, or start again when npm's registry answers and has ${NAME}@${VERSION}\\.$`,
    )

  test('once, into the data folder, with a line before and after', async () => {
    const dataFolder = join(newFolder(), 'data with spaces')
    const first = await openWith([published()], { dataFolder })
    expect(first.opened).toMatch(LISTENING)
    const cache = join(dataFolder, 'cache', `dynoxide-${VERSION}-${PLATFORM}`)
    expect(first.said.split('\n')).toEqual([
      `  fetching  ${NAME}@${VERSION}, the database, through npm; this once, into ${cache}`,
      `  fetched   ${NAME}@${VERSION}`,
      '',
    ])
    expect(readdirSync(cache)).toEqual(['dynoxide', 'dynoxide.started'])

    const second = await openWith([published()], { dataFolder })
    expect(second).toEqual({ opened: expect.stringMatching(LISTENING), said: '', asked: [] })
  })

  test('into the user’s cache where the data live in memory', async () => {
    const home = newFolder()
    expect((await openWith([published()], { home })).opened).toMatch(LISTENING)
    expect(readdirSync(join(home, '.cache/bursar'))).toEqual([`dynoxide-${VERSION}-${PLATFORM}`])
  })

  test('whole for each of two that start at once', async () => {
    const dataFolder = newFolder()
    const both = [openWith([published()], { dataFolder }), openWith([published()], { dataFolder })]
    for (const { opened } of await Promise.all(both)) expect(opened).toMatch(LISTENING)
  })

  test('from the registry of the project’s .npmrc', async () => {
    const registry = await startRegistry([published()])
    const project = copyProject({ without: '@dynoxide' })
    writeFileSync(join(project, '.npmrc'), `registry=${registry.url}\n`)
    const { opened } = await openIn({ project, dataFolder: join(project, '.local') })
    await registry.close()
    expect(opened).toMatch(LISTENING)
  })

  test('never, when the tarball is not the one that the registry’s integrity says', async () => {
    const dataFolder = newFolder()
    const other = integrityOf(tarballOf(published({ files: { dynoxide: 'another' } })))
    const { opened } = await openWith([published({ integrity: other })], { dataFolder })
    expect(opened).toMatch(waysOut(/npm could not fetch \S+ \(EINTEGRITY: [^\n]+\)/))
    expect(readdirSync(join(dataFolder, 'cache', `dynoxide-${VERSION}-${PLATFORM}`))).toEqual([])
  })

  test('never, when the tarball is not the one of package-lock.json', async () => {
    const project = copyProject({ without: '@dynoxide' })
    const integrity = integrityOf(tarballOf(published({ files: { dynoxide: 'another' } })))
    const lock = { packages: { [`node_modules/${NAME}`]: { version: VERSION, integrity } } }
    writeFileSync(join(project, 'package-lock.json'), JSON.stringify(lock))
    const { opened } = await openWith([published()], { project })
    expect(opened).toMatch(
      waysOut(/npm could not fetch \S+ \(the registry's tarball has the integrity [^\n]+\)/),
    )
  })

  test.each([
    ['the registry has no such package', [], /npm could not fetch \S+ \(E404: [^\n]+\)/],
    [
      'the package is empty',
      [published({ files: {} })],
      /npm could not [^\n]+ \(the package has no file dynoxide\)/,
    ],
  ])('in one sentence with three ways out when %s', async (_, packages, why) => {
    expect((await openWith(packages)).opened).toMatch(waysOut(why))
  })

  test('in the same sentence when there is no npm, or no registry', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`
    const { opened } = await openIn({ project: withoutPackage, registry: nobody })
    expect(opened).toMatch(waysOut(/npm could not fetch \S+ \(ECONNREFUSED: [^\n]+\)/))
    const first = `process.env.PATH = ''`
    const withoutNpm = await openIn({ project: withoutPackage, first })
    expect(withoutNpm.opened).toMatch(waysOut(/npm could not fetch \S+ \(npm is not on the PATH\)/))
  })

  test('not for a platform that Dynoxide is not published for', async () => {
    const first = `Object.defineProperty(process, 'arch', { value: 'riscv64' })`
    const { opened, asked } = await openWith([], { first })
    expect(opened).toMatch(/^There is no database to run: Dynoxide is not published for \w+-riscv64\. Put /)
    expect(asked).toEqual([])
  })
})

describe('DYNAMODB_ENDPOINT', () => {
  test.each(['garbage', 'https://dynamodb.eu-west-1.amazonaws.com', 'localhost:8000'])(
    '%s is refused in a sentence',
    async (endpoint) => {
      await expect(openDatabase({ endpoint })).rejects.toThrow(
        `DYNAMODB_ENDPOINT is ${endpoint}, which is no http URL. Set it to one such as http://127.0.0.1:8000, or unset it.`,
      )
    },
  )

  test('where nothing listens is refused in a sentence', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`
    await expect(openDatabase({ endpoint })).rejects.toThrow(
      /^Nothing answers at DYNAMODB_ENDPOINT \S+ \(.*ECONNREFUSED.*\)\. Start that database, or unset DYNAMODB_ENDPOINT\.$/,
    )
  })

  test('that is empty is none', async () => {
    const database = await openDatabase({ endpoint: '' })
    expect(database.url).toMatch(LISTENING)
    await database.stop()
  })
})

describe.each(Object.entries(supervisors))('a database under the supervisor of %s', (name, supervisor) => {
  const program = createRequire(import.meta.url).resolve(`${NAME}/dynoxide`)
  const dies = async (url: string) =>
    vi.waitFor(() => expect(fetch(url)).rejects.toThrow(), { timeout: 5_000, interval: 20 })

  test('listens until it is stopped', async () => {
    const database = await launch(program, await freePort(), undefined, supervisor)
    if ('failure' in database) throw new Error(database.failure)
    await (await fetch(database.url)).text()
    await database.stop()
    await expect(fetch(database.url)).rejects.toThrow()
  })

  test('dies with its owner, whom kill -9 ends', async () => {
    const module = pathToFileURL(join(import.meta.dirname, 'database.ts')).href
    const script = `const { launch, freePort, supervisors } = await import(${JSON.stringify(module)})
      const database = await launch(${JSON.stringify(program)}, await freePort(), undefined, supervisors.${name})
      console.log(database.url ?? database.failure)`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script])
    const [line] = (await once(createInterface(owner.stdout), 'line')) as [string]
    expect(line).toMatch(LISTENING)
    await (await fetch(line)).text()
    owner.kill('SIGKILL')
    await dies(line)
  })

  test('whose program cannot start or fails is quoted', async () => {
    const failing = join(folderWith('#!/bin/sh\necho "out of order" >&2; exit 3'), 'dynoxide')
    expect(await launch(failing, 1, undefined, supervisor)).toEqual({ failure: 'out of order' })
    expect(await launch('/nowhere/dynoxide', 1, undefined, supervisor)).toEqual({
      failure: expect.stringMatching(/\/nowhere\/dynoxide/),
    })
  })
})
