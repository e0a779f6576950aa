import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { ActionButton } from './form.tsx'
import { Load, useResource } from './resource.tsx'
import { words } from './words.ts'

export interface Part<T> {
  items: readonly T[]
  cursor: string | undefined
}

interface PagedProps<T> {
  /** Reads a page of the list, the first one without a cursor. */
  read(cursor?: string): Promise<Part<T>>
  /** What the list is of: with other values it is read anew. */
  of?: readonly unknown[]
  empty: ComponentChildren
  /** @param reload reads the first page again, and shows and returns it */
  children(items: readonly T[], reload: () => Promise<readonly T[]>): ComponentChildren
}

/** A list that is read page by page, as far as the person wants. */
export function Paged<T>({ read, of = [], empty, children }: PagedProps<T>) {
  const first = useResource(() => read(), of)
  const [further, setFurther] = useState<Part<T>>()
  // What was read further on belonged to the first page before.
  useEffect(() => setFurther(undefined), [first.value])
  const reload = async () => {
    const part = await read()
    first.set(part)
    return part.items
  }
  return (
    <Load
      of={first}
      empty={{ when: ({ items, cursor }) => items.length === 0 && cursor === undefined, text: empty }}
    >
      {(page) => {
        const cursor = further ? further.cursor : page.cursor
        return (
          <>
            {children([...page.items, ...(further?.items ?? [])], reload)}
            {cursor !== undefined && (
              <p>
                <ActionButton
                  run={async () => {
                    const next = await read(cursor)
                    setFurther({ items: [...(further?.items ?? []), ...next.items], cursor: next.cursor })
                  }}
                >
                  {words.more}
                </ActionButton>
              </p>
            )}
          </>
        )
      }}
    </Load>
  )
}
