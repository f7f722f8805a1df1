; The engine lies in the user's data folder, where the uninstaller would leave gigabytes. An update keeps it.
!macro customUnInstall
  ${ifNot} ${isUpdated}
    nsExec::ExecToLog '"$INSTDIR\resources\backend\peft_engine.exe" --remove --quiet'
    Pop $0
    ${if} $0 != 0
      MessageBox MB_OK|MB_ICONEXCLAMATION "The engine could not be removed ($0). Delete $LOCALAPPDATA\peft-studio by hand." /SD IDOK
    ${endIf}
    ; Nobody is asked in a silent uninstall, which keeps people's work.
    MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "Remove your adapters, datasets and settings too? This cannot be undone." /SD IDNO IDNO peftStudioKeeps
    nsExec::ExecToLog 'cmd.exe /d /s /c "echo yes| "$INSTDIR\resources\backend\peft_engine.exe" --remove --all --quiet"'
    Pop $0
    ${if} $0 != 0
      MessageBox MB_OK|MB_ICONEXCLAMATION "Your adapters, datasets and settings could not be removed ($0). Delete $LOCALAPPDATA\peft-studio by hand." /SD IDOK
    ${endIf}
    peftStudioKeeps:
  ${endIf}
!macroend
