import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { ErrorBoundary, LocationProvider, lazy, Route, Router, useLocation } from 'preact-iso'
import { chooseLanguage, LANGUAGES, type Language, language } from '../kit/language.ts'
import { hasCode } from '../kit/problem.ts'
import { Failure, Load, useResource } from '../kit/resource.tsx'
import { call } from './api.ts'
import { MeContext, useMe } from './me.tsx'
import { t } from './messages.ts'
import { Page } from './page.tsx'
import Home from './pages/home.tsx'
import { href, type PageName, paths } from './paths.ts'
import { QuestionDialog } from './question-dialog.tsx'
import { SearchBox } from './search.tsx'
import { client, restored, session } from './session.ts'
import { SignInForm } from './sign-in-form.tsx'

const page = (load: () => Promise<{ default: () => ComponentChildren }>) => lazy(load as never)

/** Pages of the menu, in its order. */
const listed = {
  home: Home,
  accounts: page(() => import('./pages/accounts.tsx')),
  totals: page(() => import('./pages/totals.tsx')),
  plans: page(() => import('./pages/plans.tsx')),
  coupons: page(() => import('./pages/coupons.tsx')),
  blocks: page(() => import('./pages/blocks.tsx')),
  events: page(() => import('./pages/events.tsx')),
  audit: page(() => import('./pages/audit.tsx')),
  operators: page(() => import('./pages/operators.tsx')),
  health: page(() => import('./pages/health.tsx')),
} satisfies Partial<Record<PageName, unknown>>

/** Pages that others lead to, and the one of the menu that they belong to. */
const inner = {
  account: page(() => import('./pages/account.tsx')),
  deliveries: page(() => import('./pages/deliveries.tsx')),
} satisfies Partial<Record<PageName, unknown>>
const belongsTo: Readonly<Record<string, string>> = {
  [paths.deliveries]: paths.events,
  [paths.account]: paths.home,
}

const routesOf = (pages: object) =>
  Object.entries(pages).map(([name, component]) => (
    <Route key={name} path={paths[name as PageName]} component={component} />
  ))

const menuOpen = signal(false)

export function App() {
  const ready = useResource(restored)
  return (
    <LocationProvider scope={/^\/console/}>
      <a class="skip" href="#main">
        {t.words.skip}
      </a>
      <Load of={ready}>{() => (session.value === 'in' ? <Operator /> : <SignIn />)}</Load>
    </LocationProvider>
  )
}

function SignIn() {
  return (
    <>
      <div class="narrow">
        <header>
          <Brand />
        </header>
        <Page title={t.signIn.title} lead={t.signIn.lead}>
          <div class="card">
            <SignInForm onDone={() => {}} />
          </div>
        </Page>
      </div>
      <Foot />
    </>
  )
}

/** The pages of whoever is an operator; anybody else is told why there are none. */
function Operator() {
  const me = useResource(() => call('whoami'))
  const refused = hasCode(me.error, 'operator_refused', 'operator_sign_in_required')
  return (
    <>
      {me.value ? (
        <MeContext.Provider value={me.value}>
          <Frame>
            <ErrorBoundary>
              <Router onRouteChange={() => (menuOpen.value = false)}>
                {routesOf({ ...listed, ...inner })}
                <Route default component={Missing} />
              </Router>
            </ErrorBoundary>
          </Frame>
        </MeContext.Provider>
      ) : (
        <div class="narrow">
          <header>
            <Brand />
          </header>
          {refused ? (
            <Page title={t.refused.title}>
              <Failure error={me.error} retry={me.reload} />
              <p class="soft">{t.refused.text}</p>
              <p class="actions">
                <a class="button quiet" href="/security">
                  {t.refused.security}
                </a>
                <SignOut />
              </p>
            </Page>
          ) : (
            <Load of={me}>{() => null}</Load>
          )}
        </div>
      )}
      <QuestionDialog />
    </>
  )
}

function Missing() {
  return (
    <Page title={t.missing.title}>
      <p>{t.missing.text}</p>
      <p>
        <a href={href('home')}>{t.nav.home}</a>
      </p>
    </Page>
  )
}

const Brand = () => (
  <a class="name" href={href('home')}>
    <span class="mark" aria-hidden="true">
      B
    </span>
    {t.console}
  </a>
)

function SignOut() {
  return (
    <button
      type="button"
      class="quiet"
      onClick={async () => {
        await client.sessions.logout().catch(() => {})
        session.value = 'out'
      }}
    >
      {t.signOut}
    </button>
  )
}

function Frame({ children }: { children: ComponentChildren }) {
  const { path } = useLocation()
  const { name, role } = useMe()
  const here = belongsTo[path] ?? path
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing =
        event.target instanceof HTMLElement && event.target.closest('input, textarea, select, dialog')
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || typing) return
      event.preventDefault()
      document.querySelector<HTMLElement>('#search')?.focus()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  return (
    <div class="console">
      <header class="bar">
        <button
          type="button"
          class="quiet menu"
          aria-expanded={menuOpen.value}
          aria-controls="side"
          onClick={() => (menuOpen.value = !menuOpen.value)}
        >
          {t.words.menu}
        </button>
        <Brand />
        <SearchBox />
        <div class="end">
          <span class="who">
            {name} <span class="tag">{t.roles[role]}</span>
          </span>
          <SignOut />
        </div>
      </header>
      <div class="frame">
        <nav class={menuOpen.value ? 'side open' : 'side'} id="side" aria-label={t.words.menu}>
          <ul>
            {Object.keys(listed).map((name) => (
              <li key={name}>
                <a
                  href={paths[name as keyof typeof listed]}
                  aria-current={here === paths[name as keyof typeof listed] ? 'page' : undefined}
                >
                  {t.nav[name as keyof typeof listed]}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        {children}
      </div>
      <Foot />
    </div>
  )
}

function Foot() {
  return (
    <footer class="foot">
      <a href="/docs">{t.reference}</a>
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
