import type { Listing } from 'bursar/client'
import type { ComponentChildren } from 'preact'
import { Paged } from '../kit/paged.tsx'

interface ListedProps<T> {
  /** Reads a page of the list, the first one without a cursor. */
  list(cursor?: string): Listing<T>
  empty: ComponentChildren
  children(items: readonly T[]): ComponentChildren
}

/** A list of the client, page by page. */
export function Listed<T>({ list, empty, children }: ListedProps<T>) {
  return (
    <Paged read={(cursor) => list(cursor).page()} empty={empty}>
      {(items) => children(items)}
    </Paged>
  )
}
