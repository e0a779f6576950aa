import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '..', '..')

// Within the project, so that the clients find their packages.
mkdirSync(join(ROOT, '.local'), { recursive: true })
const folder = mkdtempSync(join(ROOT, '.local', 'clients-'))
afterAll(() => rmSync(folder, { recursive: true }))

beforeAll(async () => {
  const script = join(import.meta.dirname, 'generate-clients.ts')
  await run(process.execPath, [script, join(ROOT, 'functions', 'openapi.json'), folder], { cwd: ROOT })
})

/** What tsc says about a file that uses the generated clients; empty if it is content. */
async function complaints(name: string, code: string): Promise<string> {
  writeFileSync(join(folder, `${name}.ts`), code)
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'dom', 'dom.iterable'],
    module: 'esnext',
    moduleResolution: 'bundler',
    types: [],
    noEmit: true,
    strict: true,
    allowImportingTsExtensions: true,
  }
  const config = join(folder, `${name}.json`)
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [`${name}.ts`] }))
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  return run(process.execPath, [tsc, '-p', config], { cwd: folder }).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  )
}

const ADDRESS = `{ street: 'Main st. 1', city: 'York', postCode: 'YO31 8SB', country: 'GB' }`
const SIGN_UP = `{ name: 'STARTER', paymentMethod: 'pm_1', address: ${ADDRESS} }`

const OPENAPI_FETCH = `
import createClient from 'openapi-fetch'
import type { components, paths } from './schema.ts'
const client = createClient<paths>({ baseUrl: 'https://api.example.com' })
`

test('a client of openapi-typescript and openapi-fetch: right calls compile, with the members of each problem', async () => {
  const code = `${OPENAPI_FETCH}
    export async function signUp(): Promise<string | number | undefined> {
      const { data, error } = await client.POST('/v1/user/bundle', { body: ${SIGN_UP} })
      if (data) return data.id
      if (!error || !('type' in error)) return error?.message
      if (error.type === 'urn:bursar:problem:payment_action_required') return error.clientSecret
      if (error.type === 'urn:bursar:problem:invalid_request') return error.errors[0]?.field
      if (error.type === 'urn:bursar:problem:too_many_cards_tried') return error.retryAfter
      return error.detail
    }
    export async function spend(): Promise<number> {
      const { data, error } = await client.POST('/v1/usage', { body: { units: 3, requestId: 'call-1' } })
      if (data) return data.left
      return 'type' in error && error.type === 'urn:bursar:problem:quota_exhausted' ? error.needed : 0
    }
    export async function invoices(): Promise<number[]> {
      const { data = [] } = await client.GET('/v1/invoice/list', { params: { query: { limit: 10 } } })
      return data.map((invoice: components['schemas']['Invoice']) => invoice.amount)
    }
    export const refill = () => client.POST('/v1/user/buy', { params: { header: { 'idempotency-key': 'one' } } })
    export const reset = () =>
      client.PUT('/v1/user/resetPassword', { body: { code: '0', password: 'Hello123!' } })
    export const titleOf = ({ title, requestId }: components['schemas']['Problem']) => title + requestId
  `
  expect(await complaints('right', code)).toBe('')
})

test('a client of openapi-typescript and openapi-fetch: no wrong call compiles', async () => {
  const wrong = [
    `client.POST('/v1/auth/login', {})`,
    `client.POST('/v1/auth/login', { body: { email: 'ada@mail.example' } })`,
    `client.POST('/v1/usage', { body: { units: '3' } })`,
    `client.POST('/v1/usage', { body: { requestId: 'call-1' } })`,
    `client.GET('/v1/invoice/list', { params: { query: { limit: 'ten' } } })`,
    `client.GET('/v1/invoice/{id}')`,
    `client.GET('/v1/invoices')`,
    `client.DELETE('/v1/user/buy')`,
    `client.GET('/v1/user/resetPassword', { body: { code: '0', password: 'Hello123!' } })`,
    `client.POST('/v1/user/bundle', { body: ${SIGN_UP} }).then(({ error }) => error && 'type' in error && error.clientSecret)`,
    `client.GET('/v1/user').then(({ error }) => error && 'type' in error && error.type === 'urn:bursar:problem:card_declined')`,
    `client.GET('/v1/usage/balance').then(({ data }) => data && data.left.length)`,
  ]
  const code = wrong.map((call, at) => `// @ts-expect-error\nexport const wrong${at} = () => ${call}`)
  expect(await complaints('wrong', OPENAPI_FETCH + code.join('\n'))).toBe('')
})

const HEY_API = `
import { v1Balance, v1GetInvoice, v1ListInvoices, v1Login, v1Consume, v1SignUpForBundle } from './hey-api/index.ts'
import type { Problem } from './hey-api/index.ts'
`

test('a client of @hey-api/openapi-ts: right calls compile, with the members of each problem', async () => {
  const code = `${HEY_API}
    export async function signUp(): Promise<string | number | undefined> {
      const { data, error } = await v1SignUpForBundle({ body: ${SIGN_UP} })
      if (data) return data.id
      if (!error) return undefined
      if (error.type === 'urn:bursar:problem:payment_action_required') return error.clientSecret
      if (error.type === 'urn:bursar:problem:invalid_request') return error.errors[0]?.field
      if (error.type === 'urn:bursar:problem:too_many_cards_tried') return error.retryAfter
      return error.detail
    }
    export const spend = () => v1Consume({ body: { units: 3, requestId: 'call-1' } })
    export const amounts = async () =>
      (await v1ListInvoices({ query: { limit: 10 } })).data?.map(({ amount }): number => amount)
    export const titleOf = ({ title, requestId }: Problem) => title + requestId
  `
  expect(await complaints('right-hey', code)).toBe('')
})

test('a client of @hey-api/openapi-ts: no wrong call compiles', async () => {
  const wrong = [
    `v1Login()`,
    `v1Login({ body: { email: 'ada@mail.example' } })`,
    `v1Login({ body: { email: 'ada@mail.example', password: 'Hello123!', pin: '1' } })`,
    `v1Consume({ body: { units: '3' } })`,
    `v1ListInvoices({ query: { limit: 'ten' } })`,
    `v1GetInvoice()`,
    `v1SignUpForBundle({ body: ${SIGN_UP} }).then(({ error }) => error && 'type' in error && error.clientSecret)`,
    `v1Balance().then(({ error }) => error && 'type' in error && error.type === 'urn:bursar:problem:card_declined')`,
    `v1Balance().then(({ data }) => data && data.left.length)`,
  ]
  const code = wrong.map((call, at) => `// @ts-expect-error\nexport const wrong${at} = () => ${call}`)
  expect(await complaints('wrong-hey', HEY_API + code.join('\n'))).toBe('')
})
