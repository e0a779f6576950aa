import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
const page = (file: string) => readFileSync(join(ROOT, file), 'utf8')

/** The code blocks under a heading of a page, each with the last file named in the text before the block. */
function stepsOf(heading: string, from = 'README.md'): { file: string; code: string }[] {
  const [, section = ''] = page(from).split(`### ${heading}\n`)
  const [text = ''] = section.split(/^##/m)
  let file = ''
  return text.split(/^ {3}```(?:ts)?\n/m).flatMap((part, at) => {
    if (at % 2 === 1) return { file, code: part.replaceAll(/^ {3}/gm, '') }
    file = [...part.matchAll(/`([\w/.-]+\.ts)`/g)].at(-1)?.[1] ?? file
    return []
  })
}

/** For each existing file, the lines after which its blocks belong. */
const ANCHORS: Record<string, string[]> = {
  'functions/v1/routes.ts': ["export const v1 = place('v1', {\n"],
  'core/ports.ts': ['export interface Ports {\n'],
  'functions/http/needs.ts': ['export const needs = {\n'],
  'functions/http/live.ts': ['const adapters: Adapters = {\n'],
  'test/local/stack.ts': ['  const env = {\n    AWS_REGION: REGION,\n'],
  'sst.config.ts': ['      values: {\n'],
  'test/infra/rules.ts': [
    '  const byNeed: Record<Need, string[]> = {\n',
    'const BY_NEED: Record<Need, readonly string[]> = {\n',
  ],
  'functions/jobs/schedule.ts': ['export const jobs = place({\n'],
}

/** A copy of the project in which a test follows the README. */
function copyOfProject() {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-readme-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const entries = [
    'functions',
    'core',
    'test',
    'package.json',
    'tsconfig.json',
    'sst.config.ts',
    'README.md',
    '.github',
  ]
  for (const entry of entries) cpSync(join(ROOT, entry), join(folder, entry), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))

  const read = (file: string) => readFileSync(join(folder, file), 'utf8')
  const write = (file: string, text: string) => writeFileSync(join(folder, file), text)
  const taken = new Map<string, number>()
  const run = async (...command: string[]) =>
    (await promisify(execFile)(process.execPath, command, { cwd: folder })).stdout
  return {
    read,
    write,
    /** Puts a block of the README into its file, after the next anchor if the file exists. */
    follow({ file, code }: { file: string; code: string }): void {
      if (!existsSync(join(ROOT, file))) {
        write(file, code)
        return
      }
      const nth = taken.get(file) ?? 0
      taken.set(file, nth + 1)
      const anchor = ANCHORS[file]?.[nth] ?? 'no such line'
      const parts = read(file).split(anchor)
      if (parts.length !== 2) throw new Error(`${file} must have this line exactly once: ${anchor}`)
      write(file, parts.join(anchor + code))
    },
    run,
    /** Runs code in the copy. @returns its output, parsed as JSON. */
    async answer(code: string) {
      write('try-it.ts', code)
      return JSON.parse(await run('try-it.ts'))
    },
    /** The files with compiler errors. Of the tests only those that name every port are compiled. */
    async misfits(): Promise<Set<string>> {
      const include = ['functions', 'core', 'test/infra/rules.ts', 'test/local/stack.ts']
      write('types.json', JSON.stringify({ extends: './tsconfig.json', include }))
      const said: string = await run('node_modules/typescript/bin/tsc', '-p', 'types.json').then(
        () => '',
        ({ stdout }) => stdout,
      )
      return new Set(said.match(/^[\w/.-]+\.ts(?=\()/gm))
    },
  }
}

/** Code that starts the copy and signs a person up; `post` sends JSON, and `greet` calls the new endpoint. */
const START = `
import { startServer } from './test/local/server.ts'
const server = await startServer({ port: 0, schedule: false, reload: false, quiet: true })
const get = async (path) => (await fetch(server.url + path)).json()
const post = async (path, json) => (await fetch(server.url + path, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(json) })).json()
await post('/rest/users', { username: 'ada', email: 'ada@mail.example', password: 'Hello123!' })
const [{ text }] = await get('/_local/mail?to=ada@mail.example')
await post('/v1/auth/activate', { code: /[0-9a-f]{32}/.exec(text)[0] })
const { accessToken } = await post('/v1/auth/login', { username: 'ada', password: 'Hello123!' })
const greet = (headers) => fetch(server.url + '/v1/greeting', { headers })
const token = { authorization: 'Bearer ' + accessToken }
`

/** The part of `npm run generate` about permissions. */
const WRITE_CALLS = `
import { writeFileSync } from 'node:fs'
import { CALLS_FILE, callsFile } from './test/bundles/calls.ts'
writeFileSync(CALLS_FILE, await callsFile())
`

describe('a copy of the project with only the changes that README and CONTRIBUTING list', () => {
  test('has a new endpoint that is routed, protected and documented', async () => {
    const copy = copyOfProject()
    const steps = stepsOf('Add an endpoint')
    expect(steps.map(({ file }) => file)).toEqual(['functions/v1/routes.ts', 'functions/v1/greeting.ts'])
    for (const step of steps) copy.follow(step)
    const answers = await copy.answer(`${START}
      const refused = await greet({})
      const greeted = await greet(token)
      console.log(JSON.stringify([refused.status, greeted.status, await greeted.json()]))
      await server.close()`)
    expect(answers).toEqual([401, 200, { message: 'Hello ada' }])
    await copy.run('test/support/generate.ts')
    expect(copy.read('functions/openapi.json')).toContain('"/v1/greeting"')
  })

  // The compiler reads the whole copy twice, so only the deep tests do this.
  test('has a new port: the compiler demands each step, and the functions that need the port have it', {
    timeout: 240_000,
  }, async () => {
    const copy = copyOfProject()
    const [declare, tabulate, ...others] = stepsOf('Add a port', '.github/CONTRIBUTING.md')
    if (!declare || !tabulate) throw new Error('no steps')
    copy.follow(declare)
    copy.follow(tabulate)
    expect(await copy.misfits()).toEqual(
      new Set(['functions/http/live.ts', 'test/infra/rules.ts', 'test/local/stack.ts']),
    )
    for (const step of others) copy.follow(step)

    const [row, file] = stepsOf('Add an endpoint')
    if (!row || !file) throw new Error('no steps')
    copy.follow({ ...row, code: row.code.replace("needs: ['table']", "needs: ['table', 'operator']") })
    copy.follow({
      ...file,
      code: `
        import { endpoint } from '../http/endpoint.ts'
        import { v1 } from './routes.ts'

        export const handler = endpoint(v1.greeting, async ({ caller, deps }) => {
          await deps.operator.tell(caller.account.username + ' was greeted')
          return { message: 'Hello' }
        })`,
    })
    copy.write('write-calls.ts', WRITE_CALLS)
    await copy.run('write-calls.ts')
    const [misfits, answers] = await Promise.all([copy.misfits(), copy.answer(USE_THE_PORT)])
    expect(misfits).toEqual(new Set())
    expect(answers).toEqual({
      greeted: 200,
      mails: ['ada was greeted'],
      environment: ['TABLE_NAME', 'MAIL_FROM', 'ALARM_EMAIL'],
      othersEnvironment: [],
      actions: expect.arrayContaining(['ses:SendEmail']),
      timeoutSeconds: 29,
      bundles: { 'v1-greeting': true, 'v1-get-user': false, 'v1-login': false },
    })
  })

  test('has a new job that is scheduled, has alarms and runs on the local stack', async () => {
    const copy = copyOfProject()
    const steps = stepsOf('Add a job', '.github/CONTRIBUTING.md')
    expect(steps.map(({ file }) => file)).toEqual([
      'functions/jobs/schedule.ts',
      'functions/jobs/say-hello.ts',
    ])
    for (const step of steps) copy.follow(step)
    const answers = await copy.answer(`${START}
      import { alarmsOf } from './functions/deploy/alarms.ts'
      import { scheduled } from './functions/deploy/functions.ts'
      const { name, every, handler } = scheduled.find(({ name }) => name === 'jobs-say-hello')
      const alarms = alarmsOf('bursar-dev', 'eu-west-1').filter(({ name }) => name.includes('SayHello')).map(({ name }) => name)
      const done = await post('/_local/jobs/say-hello')
      console.log(JSON.stringify({ deployed: { name, every, handler }, alarms, hello: typeof done.hello }))
      await server.close()`)
    expect(answers).toEqual({
      deployed: {
        name: 'jobs-say-hello',
        every: 'rate(1 day)',
        handler: 'functions/jobs/say-hello.handler',
      },
      alarms: ['JobsSayHelloThrottles', 'JobsSayHelloErrors', 'JobsSayHelloAbsent'],
      hello: 'number',
    })
  })
})

/**
 * Code that prints the effect of an endpoint with the port, its deployment settings, and the bundles with its
 * adapter.
 */
const USE_THE_PORT = `${START}
import { functions } from './functions/deploy/functions.ts'
import { environmentOf, grantsOf } from './functions/deploy/permissions.ts'
import { buildBundles } from './functions/deploy/build.ts'
const { status: greeted } = await greet(token)
const mails = (await get('/_local/mail?to=ops@bursar.example')).map(({ text }) => text)
await server.close()
const named = (name) => functions.find((fn) => fn.name === name)
const greeting = named('v1-greeting')
const built = await buildBundles([greeting, named('v1-get-user'), named('v1-login')], 'built')
const holds = ({ outputs }) => Object.values(outputs).some(({ inputs }) => 'core/adapters/operator.ts' in inputs)
console.log(JSON.stringify({
  greeted,
  mails,
  environment: environmentOf(greeting),
  othersEnvironment: functions.filter((fn) => fn !== greeting && environmentOf(fn).includes('ALARM_EMAIL')),
  actions: grantsOf(greeting).flatMap(({ actions }) => actions),
  timeoutSeconds: greeting.timeoutSeconds,
  bundles: Object.fromEntries([...built].map(([name, bundle]) => [name, holds(bundle)])),
}))
`
