import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { GatewayRoute } from './gateway.ts'

/** Runs handlers as Lambda does: from their files, in a container with its own environment. */
export interface Lambda {
  /** Calls the `handler` of a file; the path is relative to the project's root. */
  invoke(file: string, event: unknown): Promise<unknown>
  /** Reads the current routes from the code. */
  routes(): Promise<GatewayRoute[]>
  close(): Promise<void>
}

export interface LambdaOptions {
  env: Record<string, string>
  clock: SharedArrayBuffer
  /** Hides the functions' log. */
  quiet?: boolean
  /** Called with the new routes whenever source files have changed. */
  onReload?(routes: GatewayRoute[]): void
}

const ROOT = join(import.meta.dirname, '..', '..')
const SOURCES = ['core', 'functions'].map((folder) => join(ROOT, folder))

/** How long after the last change of a file the reload starts: an editor saves in several steps. */
const SETTLE_MS = 50

/**
 * Starts one worker thread that stands for all containers. After a change in the sources a new worker takes
 * the calls, and the old worker ends after its last answer. A worker that ended by itself is replaced at the
 * next call.
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
 * Every folder of the sources. Each folder gets its own watch, which is renewed after a change: on Linux a
 * recursive watch no longer sees a file after an editor has saved the file by renaming.
 */
const sourceFolders = (): string[] =>
  SOURCES.flatMap((root) => [
    root,
    ...readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name)),
  ])

/** A task for the worker: run a handler, or read the rows. */
export type Task = { file: string; event: unknown } | { routes: true }
export type Outcome = { id: number } & ({ value: unknown } | { error: string })

interface Container {
  call(task: Task): Promise<unknown>
  /** Ends the container after its last answer. */
  retire(): void
  /** Ends the container now; the waiting calls fail. */
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
