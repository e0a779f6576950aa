import { BursarError } from 'bursar/client'
import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { problemText, retryText } from './problem.ts'
import { words } from './words.ts'

/** What a page reads: nothing yet, a value, or an error; a value stays while it is read again. */
export interface Resource<T> {
  value: T | undefined
  error: unknown
  loading: boolean
  reload(): Promise<void>
  /** Shows a value that a change has answered, without reading again. */
  set(value: T): void
}

/** How often the network has come back on this page. */
let returns = 0
addEventListener('online', () => {
  returns += 1
})

/** Reads when the page is shown, and again when `inputs` change. An answer that is overtaken by another is dropped. */
export function useResource<T>(read: () => Promise<T>, inputs: readonly unknown[] = []): Resource<T> {
  const [state, setState] = useState<Pick<Resource<T>, 'value' | 'error' | 'loading'>>({
    value: undefined,
    error: undefined,
    loading: true,
  })
  const latest = useRef(0)
  const returnsBefore = useRef(0)
  const reload = useCallback(async () => {
    latest.current += 1
    const mine = latest.current
    returnsBefore.current = returns
    setState((before) => ({ ...before, loading: true }))
    try {
      const value = await read()
      if (mine === latest.current) setState({ value, error: undefined, loading: false })
    } catch (error) {
      if (mine === latest.current) setState((before) => ({ ...before, error, loading: false }))
    }
  }, inputs)
  useEffect(() => {
    setState({ value: undefined, error: undefined, loading: true })
    reload()
    return () => {
      latest.current += 1
    }
  }, [reload])
  // A page that could not be read is read again once there is a network, which may have come back while it was read.
  useEffect(() => {
    if (state.loading || !isOffline(state.error)) return
    if (returns > returnsBefore.current) {
      reload()
      return
    }
    addEventListener('online', reload)
    return () => removeEventListener('online', reload)
  }, [state.error, state.loading, reload])
  const set = useCallback((value: T) => setState({ value, error: undefined, loading: false }), [])
  return { ...state, reload, set }
}

export const isOffline = (error: unknown): boolean =>
  error instanceof BursarError && error.code === 'connection_lost'

interface LoadProps<T> {
  of: Resource<T>
  /** Whether there is nothing to show, and what is said then. */
  empty?: { when(value: T): boolean; text: ComponentChildren }
  children(value: T): ComponentChildren
}

/** Shows a resource in each of its states: waiting, failed, empty, there. */
export function Load<T>({ of, empty, children }: LoadProps<T>) {
  if (of.value !== undefined) {
    const { value } = of
    return (
      <>
        {of.error !== undefined && <Failure error={of.error} retry={of.reload} />}
        {empty?.when(value) ? <div class="empty">{empty.text}</div> : children(value)}
      </>
    )
  }
  if (of.error !== undefined) return <Failure error={of.error} retry={of.reload} />
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> {words.loading}
    </p>
  )
}

export function Failure({ error, retry }: { error: unknown; retry?: () => unknown }) {
  return (
    <div class="notice bad" role="alert">
      <p>{problemText(error)}</p>
      {retryText(error) && <p>{retryText(error)}</p>}
      {retry && (
        <button type="button" class="quiet" onClick={() => retry()}>
          {words.tryAgain}
        </button>
      )}
    </div>
  )
}
