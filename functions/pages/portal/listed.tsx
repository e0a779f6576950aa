import type { Listing } from 'bursar/client'
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { ActionButton } from '../kit/form.tsx'
import { Load, useResource } from '../kit/resource.tsx'
import { words } from '../kit/words.ts'

interface ListedProps<T> {
  /** Reads a page of the list, the first one without a cursor. */
  list(cursor?: string): Listing<T>
  empty: ComponentChildren
  children(items: readonly T[]): ComponentChildren
}

/** A list that is read page by page, as far as the person wants. */
export function Listed<T>({ list, empty, children }: ListedProps<T>) {
  const first = useResource(() => list().page())
  const [further, setFurther] = useState<{ items: T[]; cursor: string | undefined }>()
  return (
    <Load of={first} empty={{ when: ({ items }) => items.length === 0, text: empty }}>
      {(page) => {
        const cursor = further ? further.cursor : page.cursor
        return (
          <>
            {children([...page.items, ...(further?.items ?? [])])}
            {cursor !== undefined && (
              <p>
                <ActionButton
                  run={async () => {
                    const next = await list(cursor).page()
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
