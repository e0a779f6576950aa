import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { chooseLanguage, LANGUAGES, type Language, language } from '../kit/language.ts'
import type { Config } from './config.ts'
import { t } from './messages.ts'

/** Whether another page was shown before this one. */
let hasMoved = false

/** The title of the page and what is on it. Each change of page is heard by screen readers. */
export function Page({
  title,
  lead,
  children,
}: {
  title: string
  lead?: ComponentChildren
  children: ComponentChildren
}) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = title
    // The first page begins where every document does, so that the skip link comes first.
    if (hasMoved) heading.current?.focus()
    hasMoved = true
  }, [title])
  return (
    <main id="main">
      <div class="lead">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {lead && <p>{lead}</p>}
      </div>
      {children}
    </main>
  )
}

export function Name({ of }: { of: Config }) {
  return (
    <a class="name" href="/">
      {of.theme.logoUrl ? (
        <img src={of.theme.logoUrl} alt="" />
      ) : (
        <span class="mark" aria-hidden="true">
          {of.appName.slice(0, 1)}
        </span>
      )}
      {of.appName}
    </a>
  )
}

export function Foot({ of }: { of: Config }) {
  return (
    <footer class="foot">
      {of.links.terms && <a href={of.links.terms}>{t.terms}</a>}
      {of.links.privacy && <a href={of.links.privacy}>{t.privacy}</a>}
      <a href={`mailto:${of.supportEmail}`}>{t.support}</a>
      {Object.entries(LANGUAGES)
        .filter(([code]) => code !== language)
        .map(([code, name]) => (
          <button
            key={code}
            type="button"
            class="link"
            lang={code}
            onClick={() => chooseLanguage(code as Language)}
          >
            {name}
          </button>
        ))}
    </footer>
  )
}
