import type { ComponentChildren } from 'preact'
import { useConfig } from './context.tsx'
import { Foot, Name, Page } from './page.tsx'

/** The frame of pages before the account: sign-in, registration, mailed links. */
export function Door({
  title,
  lead,
  children,
}: {
  title: string
  lead?: ComponentChildren
  children: ComponentChildren
}) {
  const config = useConfig()
  return (
    <>
      <div class="narrow">
        <header>
          <Name of={config} />
        </header>
        <Page title={title} lead={lead}>
          <div class="card">{children}</div>
        </Page>
      </div>
      <Foot of={config} />
    </>
  )
}
