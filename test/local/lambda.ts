import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { GatewayRoute } from './gateway.ts'

/** Runs handlers as Lambda would: from their files, in a container of their own with its own environment. */
export interface Lambda {
  /** Calls the `handler` of a file, named from the project's root. */
  invoke(file: string, event: unknown): Promise<unknown>
  /** The routes as the code has them now. */
  routes(): Promise<GatewayRoute[]>
  close(): Promise<void>
}

export interface LambdaOptions {
  env: Record<string, string>
  clock: SharedArrayBuffer
  /** Keeps the functions' log to itself. */
  quiet?: boolean
  /** Told the new routes whenever source files have changed. */
  onReload?(routes: GatewayRoute[]): void
}

const ROOT = join(import.meta.dirname, '..', '..')
const SOURCES = ['core', 'functions'].map((folder) => join(ROOT, folder))

/** An editor saves in several steps: the last one starts the reload. */
const SETTLE_MS = 50

/**
 * One worker thread stands for all containers. A change in the sources retires it after its last answer; one that
 * ended by itself is replaced when it is next called.
 */
export function startLambda(options: LambdaOptions): Lambda {
  const { onReload } = options
  const containers = new Set<Container>()
  const open = (): Container => {
    const opened = startContainer(options, () => containers.delete(opened))
    containers.add(opened)
    return opened
  }
  let current = open()
  const call = (task: Task) => {
    if (!containers.has(current)) current = open()
    return current.call(task)
  }

  function reload(): void {
    watchSources()
    current.retire()
    const fresh = open()
    current = fresh
    fresh
      .call({ routes: true })
      .then((routes) => {
        if (current === fresh) onReload?.(routes as GatewayRoute[])
      })
      .catch((error: Error) => console.error(`cannot load the changed code: ${error.message}`))
  }
  let timer: NodeJS.Timeout | undefined
  const changed = () => {
    clearTimeout(timer)
    timer = setTimeout(reload, SETTLE_MS)
  }
  let watchers: FSWatcher[] = []
  function watchSources(): void {
    for (const watcher of watchers) watcher.close()
    watchers = sourceFolders().map((folder) => watch(folder, changed))
  }
  if (onReload) watchSources()

  return {
    invoke: (file, event) => call({ file: join(ROOT, file), event }),
    routes: () => call({ routes: true }) as Promise<GatewayRoute[]>,
    async close() {
      for (const watcher of watchers) watcher.close()
      clearTimeout(timer)
      await Promise.all([...containers].map((container) => container.end()))
    },
  }
}

/**
 * Every folder of the sources. Each is watched by itself, and anew after a change: a recursive watch on Linux loses
 * sight of a file once an editor has saved it by renaming.
 */
const sourceFolders = (): string[] =>
  SOURCES.flatMap((root) => [
    root,
    ...readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name)),
  ])

/** What the worker is asked: run a handler, or read the rows. */
export type Task = { file: string; event: unknown } | { routes: true }
export type Outcome = { id: number } & ({ value: unknown } | { error: string })

interface Container {
  call(task: Task): Promise<unknown>
  /** Ends it after its last answer. */
  retire(): void
  /** Ends it now; who waits for an answer is told. */
  end(): Promise<unknown>
}

function startContainer({ env, clock, quiet = false }: LambdaOptions, onEnd: () => void): Container {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let lastId = 0
  let retired = false
  let why = 'it was stopped'
  const worker = new Worker(join(import.meta.dirname, 'worker.ts'), {
    env,
    workerData: { clock },
    stdout: quiet,
  })

  const settle = (outcome: Outcome) => {
    const caller = waiting.get(outcome.id)
    waiting.delete(outcome.id)
    if ('value' in outcome) caller?.resolve(outcome.value)
    else caller?.reject(new Error(outcome.error))
    if (retired && waiting.size === 0) void worker.terminate()
  }
  worker.on('message', settle)
  worker.on('error', (error: Error) => {
    console.error(error)
    why = error.message
  })
  worker.on('exit', () => {
    onEnd()
    for (const id of [...waiting.keys()]) settle({ id, error: `the container has ended: ${why}` })
  })

  return {
    call: (task) =>
      new Promise<unknown>((resolve, reject) => {
        waiting.set(++lastId, { resolve, reject })
        worker.postMessage({ id: lastId, task })
      }),
    retire() {
      retired = true
      if (waiting.size === 0) void worker.terminate()
    },
    end: () => worker.terminate(),
  }
}
