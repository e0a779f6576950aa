import { EventEmitter } from 'node:events'
import { ForksPoolWorker, type PoolOptions, type PoolWorker } from 'vitest/node'

// biome-ignore lint/suspicious/noExplicitAny: as Vitest declares it
type Listener = (...args: any[]) => void
type Message = { type?: string; context?: Record<string, unknown> }

/** The process that is kept, with all modules loaded and its stack running. */
let kept: { fork: ForksPoolWorker; started: boolean } | undefined

/**
 * Vitest ends a worker's process after each run. This worker only says so: loading the modules and starting the stack
 * would take a hundred times as long as the tests of one mutant.
 */
class KeepingWorker implements PoolWorker {
  readonly name = 'kept'
  readonly cacheFs = true
  readonly #own = new EventEmitter()
  readonly #listeners: [string, Listener][] = []
  readonly #process: { fork: ForksPoolWorker; started: boolean }
  #config: unknown

  constructor(options: PoolOptions) {
    kept ??= { fork: new ForksPoolWorker(options), started: false }
    this.#process = kept
  }

  async start(): Promise<void> {
    if (!this.#process.started) await this.#process.fork.start()
  }

  async stop(): Promise<void> {
    for (const [event, listener] of this.#listeners) this.#process.fork.off(event, listener)
  }

  send(message: unknown): void {
    const { type, context } = message as Message
    if (type === 'stop') this.#answer('stopped')
    else if (type === 'start' && this.#process.started) {
      this.#config = context?.config
      this.#answer('started')
    } else {
      if (type === 'start') this.#process.started = true
      if (type === 'run' && context && this.#config !== undefined) context.config = this.#config
      this.#process.fork.send(message as never)
    }
  }

  #answer(type: string): void {
    setImmediate(() => this.#own.emit('message', { type, __vitest_worker_response__: true }))
  }

  on(event: string, listener: Listener): void {
    this.#listeners.push([event, listener])
    this.#process.fork.on(event, listener)
    if (event === 'message') this.#own.on(event, listener)
  }

  off(event: string, listener: Listener): void {
    this.#process.fork.off(event, listener)
    this.#own.off(event, listener)
  }

  deserialize = (data: unknown) => data
}

export const keepingPool = {
  name: 'kept',
  createPoolWorker: (options: PoolOptions): PoolWorker => new KeepingWorker(options),
}

/** Ends the kept process, so that the next run begins with a fresh one. */
export async function endKeptProcess(): Promise<void> {
  const ended = kept
  kept = undefined
  if (ended?.started) await ended.fork.stop()
}
