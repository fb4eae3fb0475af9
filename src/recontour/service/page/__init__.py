"""The page: a list of patients, contours to correct and approve, models to promote.

main      the process             app        requests in, answers out
routes    every address, and the role it needs
sessions  who asks                security   headers, bodies, limits
series    patients as JSON        drafts     contours, edits, approvals as JSON
layers    what can be shown       models     models as JSON
words     what a state is called  pages      HTML and static files
findings  what can be found here

What runs in the browser is in static/ and templates/.
"""
