import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { generated } from '../support/generate.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')

test.each(Object.keys(generated()))('%s is what `npm run generate` writes', (file) => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toBe(generated()[file])
})

/** Starts the copy, signs somebody up and calls the endpoint without and with a token. */
const TRY_IT = `
import { startServer } from './test/local/server.ts'
const server = await startServer({ port: 0, schedule: false, reload: false, quiet: true })
const post = (path, json) => fetch(server.url + path, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(json) })
await post('/rest/users', { username: 'ada', email: 'ada@mail.example', password: 'Hello123!' })
const { accessToken } = await (await post('/v1/auth/login', { username: 'ada', password: 'Hello123!' })).json()
const greet = (headers) => fetch(server.url + '/v1/greeting', { headers })
const refused = await greet({})
const greeted = await greet({ authorization: 'Bearer ' + accessToken })
console.log(JSON.stringify([refused.status, greeted.status, await greeted.json()]))
await server.close()
`

test('the README’s new endpoint takes one row and one file, and is routed, protected and documented', async () => {
  const copy = mkdtempSync(join(tmpdir(), 'bursar-readme-'))
  try {
    for (const entry of ['functions', 'core', 'test', 'package.json', 'README.md']) {
      cpSync(join(ROOT, entry), join(copy, entry), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
    const [row = '', file = ''] = [...readme.matchAll(/^ {3}```ts\n(.*?)^ {3}```$/gms)].map(
      ([, code]) => code,
    )
    const routes = join(copy, 'functions/v1/routes.ts')
    const anchor = "export const v1 = place('v1', {\n"
    writeFileSync(routes, readFileSync(routes, 'utf8').replace(anchor, anchor + row))
    writeFileSync(join(copy, 'functions/v1/greeting.ts'), file.replaceAll(/^ {3}/gm, ''))
    writeFileSync(join(copy, 'try-it.ts'), TRY_IT)
    const run = (script: string) => promisify(execFile)(process.execPath, [script], { cwd: copy })
    const { stdout } = await run('try-it.ts')
    expect(JSON.parse(stdout)).toEqual([401, 200, { message: 'Hello ada' }])
    await run('test/support/generate.ts')
    expect(readFileSync(join(copy, 'functions/openapi.json'), 'utf8')).toContain('"/v1/greeting"')
  } finally {
    rmSync(copy, { recursive: true })
  }
})
