import type { ComponentChildren } from 'preact'

export interface Column<T> {
  head: string
  cell(item: T): ComponentChildren
  /** Numbers stand at the end of their column. */
  number?: boolean
}

interface TableProps<T> {
  caption: string
  columns: readonly Column<T>[]
  items: readonly T[]
  keyOf(item: T): string
}

/** A table that is scrolled alone where it is too wide. The first column names the row. */
export function Table<T>({ caption, columns, items, keyOf }: TableProps<T>) {
  const look = ({ number }: Column<T>) => (number ? 'number' : undefined)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it too
    // biome-ignore lint/a11y/useSemanticElements: it is no group of fields, and no landmark beside its section
    <div class="scroll" role="group" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.head} scope="col" class={look(column)}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={keyOf(item)}>
              {columns.map((column, at) =>
                at === 0 ? (
                  <th key={column.head} scope="row" class={look(column)}>
                    {column.cell(item)}
                  </th>
                ) : (
                  <td key={column.head} class={look(column)}>
                    {column.cell(item)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
