import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { routes as deployed } from '../../functions/deploy/functions.ts'
import { copyProject } from '../support/project-copy.ts'
import { startClock } from './clock.ts'
import type { GatewayRoute } from './gateway.ts'
import type { Lambda, LambdaOptions } from './lambda.ts'

const project = copyProject()
const { startLambda } = (await import(/* @vite-ignore */ join(project, 'test/local/lambda.ts'))) as {
  startLambda(options: LambdaOptions): Lambda
}

const clock = startClock()
const said = vi.spyOn(console, 'error').mockImplementation(() => {})
// Hides what containers print.
vi.spyOn(process.stderr, 'write').mockReturnValue(true)

const opened: Lambda[] = []
beforeEach(() => void said.mockClear())
afterAll(() => Promise.all(opened.map((lambda) => lambda.close())))

function start(options: Partial<LambdaOptions> = {}): Lambda {
  const lambda = startLambda({ env: {}, clock: clock.shared, quiet: true, ...options })
  opened.push(lambda)
  return lambda
}

const write = (file: string, text: string) => writeFileSync(join(project, file), text)

/** The source of a handler with this body. */
const handlerOf = (expression: string) => `export const handler = async (event) => ${expression}\n`

let probes = 0

/** Writes a handler into a new file and returns the file's path from the root. */
function newProbe(text: string): string {
  const file = `functions/http/probe-${++probes}.ts`
  write(file, text)
  return file
}

describe('invoke', () => {
  const lambda = start({ env: { TABLE_NAME: 'bursar' } })

  test('the handler gets the event, and its answer comes back', async () => {
    const probe = newProbe(handlerOf('({ got: event })'))
    expect(await lambda.invoke(probe, { a: [1] })).toEqual({ got: { a: [1] } })
  })

  test('the functions see their own environment and not that of this process', async () => {
    const probe = newProbe(handlerOf('({ ...process.env })'))
    expect(await lambda.invoke(probe, {})).toEqual({ TABLE_NAME: 'bursar' })
  })

  test('the functions’ Date follows the stack’s clock', async () => {
    const probe = newProbe(handlerOf('[Date.now(), new Date().getTime()]'))
    clock.advance(3_600_000)
    const times = (await lambda.invoke(probe, {})) as number[]
    clock.advance(-3_600_000)
    for (const time of times) expect(Math.abs(time - Date.now() - 3_600_000)).toBeLessThan(5_000)
  })

  test('an error from a handler goes to its caller, and the next call is answered', async () => {
    const probe = newProbe(handlerOf(`{ if (event.fail) throw new Error('of no use'); return 'fine' }`))
    await expect(lambda.invoke(probe, { fail: true })).rejects.toThrow('of no use')
    expect(await lambda.invoke(probe, {})).toBe('fine')
  })

  test('the real handlers run', async () => {
    const requestContext = { requestId: 'request-1', http: { sourceIp: '127.0.0.1' } }
    const event = { headers: {}, isBase64Encoded: false, requestContext }
    expect(await lambda.invoke('functions/http/health.ts', event)).toMatchObject({ statusCode: 200 })
  })

  test('a handler that ends its container fails the call at once; the next call gets another', async () => {
    const probe = newProbe(handlerOf(`event.die ? process.exit(3) : 'alive'`))
    await expect(lambda.invoke(probe, { die: true })).rejects.toThrow(/container/)
    expect(await lambda.invoke(probe, {})).toBe('alive')
  })

  test('an uncaught error ends the container, and the next call gets a new container', async () => {
    const adrift = `new Promise(() => void setImmediate(() => { throw new Error('adrift') }))`
    const probe = newProbe(handlerOf(`event.die ? ${adrift} : 'alive'`))
    await expect(lambda.invoke(probe, { die: true })).rejects.toThrow('adrift')
    expect(await lambda.invoke(probe, {})).toBe('alive')
  })

  test('routes() has the routes that are deployed', async () => {
    const routes = await lambda.routes()
    expect(routes.map(({ key }) => key)).toEqual(deployed.map(({ key }) => key))
  })

  test('close does not wait for a call that never ends; the call fails', async () => {
    const probe = newProbe(handlerOf('new Promise(() => {})'))
    const refused = expect(lambda.invoke(probe, {})).rejects.toThrow(/container/)
    await lambda.routes()
    await lambda.close()
    await refused
  })
})

describe('reload', () => {
  let told: (routes: GatewayRoute[]) => void = () => {}

  /** Resolves with the routes of the next reload. */
  const reloaded = () =>
    new Promise<GatewayRoute[]>((resolve) => {
      told = resolve
    })

  /** Starts a Lambda that reloads changed sources, with one handler. */
  async function reloading(text: string) {
    const probe = newProbe(text)
    const lambda = start({ onReload: (routes) => told(routes) })
    await lambda.routes()
    return { lambda, probe }
  }

  test('a changed handler answers from the next call on, however an editor saves the file', async () => {
    const { lambda, probe } = await reloading(handlerOf('0'))
    const inPlace = (text: string) => write(probe, text)
    const byRenaming = (text: string) => {
      write(`${probe}.new`, text)
      renameSync(join(project, `${probe}.new`), join(project, probe))
    }
    expect(await lambda.invoke(probe, {})).toBe(0)
    for (const [at, save] of [byRenaming, inPlace, byRenaming].entries()) {
      const seen = reloaded()
      save(handlerOf(String(at + 1)))
      await seen
      expect(await lambda.invoke(probe, {})).toBe(at + 1)
    }
    await lambda.close()
  })

  test('a call in flight gets the answer of the code that it started with', async () => {
    const { lambda, probe } = await reloading(`export const handler = async ({ gate }) => {
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
      await Atomics.waitAsync(gate, 1, 0).value
      return 'old'
    }`)
    const gate = new Int32Array(new SharedArrayBuffer(8))
    const flying = lambda.invoke(probe, { gate })
    await Atomics.waitAsync(gate, 0, 0).value
    const seen = reloaded()
    write(probe, handlerOf(`'new'`))
    await seen
    expect(await lambda.invoke(probe, {})).toBe('new')
    Atomics.store(gate, 1, 1)
    Atomics.notify(gate, 1)
    expect(await flying).toBe('old')
    await lambda.close()
  })

  test('a handler that does not parse fails until it is fixed, and no other handler fails', async () => {
    const { lambda, probe } = await reloading('export const handler = async () => {')
    await expect(lambda.invoke(probe, {})).rejects.toThrow()
    expect(await lambda.routes()).not.toEqual([])
    const seen = reloaded()
    write(probe, handlerOf('2'))
    await seen
    expect(await lambda.invoke(probe, {})).toBe(2)
    await lambda.close()
  })

  test('rows that do not load are reported, calls fail at once, and fixed rows are picked up', async () => {
    const { lambda, probe } = await reloading(handlerOf('1'))
    const file = 'functions/http/routes.ts'
    const text = readFileSync(join(project, file), 'utf8')
    write(file, `${text}\nexport const broken = (`)
    await vi.waitFor(() => expect(said).toHaveBeenCalledWith(expect.stringMatching(/cannot load/)), 5_000)
    await expect(lambda.invoke(probe, {})).rejects.toThrow()
    const seen = reloaded()
    write(file, text)
    await seen
    expect(await lambda.invoke(probe, {})).toBe(1)
    await lambda.close()
  })

  test('routes that the gateway refuses are reported, and the process keeps running', async () => {
    const { lambda, probe } = await reloading(handlerOf('1'))
    told = () => {
      throw new Error('A route like GET /health is there already')
    }
    write(probe, handlerOf('2'))
    await vi.waitFor(() => expect(said).toHaveBeenCalledWith(expect.stringMatching(/A route like/)), 5_000)
    expect(await lambda.invoke(probe, {})).toBe(2)
    await lambda.close()
  })
})
