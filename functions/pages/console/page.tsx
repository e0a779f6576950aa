import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

interface PageProps {
  title: string
  lead?: ComponentChildren
  /** Beside the title. */
  aside?: ComponentChildren
  children: ComponentChildren
}

/** The title of the page and what is on it. Each change of page is heard by screen readers. */
export function Page({ title, lead, aside, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = title
    heading.current?.focus()
  }, [title])
  return (
    <main id="main">
      <div class="lead">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {aside}
        {lead && <p>{lead}</p>}
      </div>
      {children}
    </main>
  )
}
